import { signal } from './library.js'

/** The time, as often as people look at it. */
export const now = signal(Date.now())
setInterval(() => {
  now.value = Date.now()
}, 1000)

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
]

/** As `3 min 20 s`, the two greatest units; below a second as `60 ms`. */
export function span(ms) {
  if (ms > 0 && ms < 1000) return `${Math.round(ms)} ms`
  let seconds = Math.round(Math.abs(ms) / 1000)
  const parts = []
  for (const [name, size] of UNITS) {
    const count = Math.floor(seconds / size)
    if (count > 0) parts.push(`${count} ${name}`)
    seconds -= count * size
  }
  return parts.slice(0, 2).join(' ') || '0 s'
}

/** As `in 3 min` or `3 min ago`. */
export function away(at) {
  const ms = Date.parse(at) - now.value
  if (Math.abs(ms) < 1500) return 'now'
  return ms > 0 ? `in ${span(ms)}` : `${span(ms)} ago`
}

const sameDay = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})
const otherDay = new Intl.DateTimeFormat('en-GB', {
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
})

export function clock(at) {
  const date = new Date(at)
  const isToday = date.toDateString() === new Date(now.value).toDateString()
  return (isToday ? sameDay : otherDay).format(date)
}
