import { queryOf } from './api.js'
import uPlot from './lib/uplot.mjs'
import { html, useEffect, useMemo, useRef } from './library.js'
import { Answer, Curl, Table } from './parts.js'
import { usePolled } from './polled.js'
import { clock, now, span } from './time.js'

const [MINUTE_MS, DAY_MS] = [60_000, 86_400_000]
const LINES = [
  ['p50', 'p50Ms', '--line-a'],
  ['p99', 'p99Ms', '--line-b'],
  ['most', 'mostMs', '--line-c'],
]

/** How late first calls were over the last day, by the minute, and what Digital Samba answered. */
export function Lateness() {
  const from = new Date(Math.floor(now.value / MINUTE_MS) * MINUTE_MS - DAY_MS + MINUTE_MS).toISOString()
  const path = useMemo(() => `/v1/statistics${queryOf({ step: 'minute', from })}`, [from])
  const day = usePolled(path, 30_000)
  return html`
    <${Answer} polled=${day} what="Lateness">${({ data }) => {
      const called = data.filter(({ lateness }) => lateness)
      return html`
        <p>${summary(called)}</p>
        ${called.length === 0 ? '' : html`<${Chart} points=${called} label=${summary(called)} />`}
        <h2>Calls by status</h2>
        <${Statuses} data=${data} />
      `
    }}<//>
    <${Curl} requests=${[['GET', path]]} />
  `
}

function summary(points) {
  if (points.length === 0) return 'No ending was called for the first time within the last day.'
  const total = points.reduce((sum, { lateness }) => sum + lateness.count, 0)
  const worst = points.reduce((a, b) => (b.lateness.mostMs > a.lateness.mostMs ? b : a))
  return `${total} first calls within the last day. The latest was ${span(worst.lateness.mostMs)} late, at ${clock(worst.at)}.`
}

function Chart({ points, label }) {
  const place = useRef()
  useEffect(() => {
    const style = getComputedStyle(document.documentElement)
    const colour = (name) => style.getPropertyValue(name).trim()
    const axis = { stroke: colour('--ink'), grid: { stroke: colour('--rule'), width: 1 } }
    const data = [
      points.map(({ at }) => Date.parse(at) / 1000),
      ...LINES.map(([, field]) => points.map(({ lateness }) => Math.max(lateness[field], 1))),
    ]
    const size = () => ({ width: place.current.clientWidth, height: 280 })
    const plot = new uPlot(
      {
        ...size(),
        scales: { y: { distr: 3 } },
        axes: [
          { ...axis, values: (_, all) => all.map((seconds) => clock(seconds * 1000)), space: 90 },
          { ...axis, size: 64, values: (_, all) => all.map((ms) => (ms === null ? '' : span(ms))) },
        ],
        series: [
          {},
          ...LINES.map(([text, , name]) => ({
            label: `${text} (ms)`,
            stroke: colour(name),
            width: 2,
            points: { show: points.length < 60 },
          })),
        ],
      },
      data,
      place.current,
    )
    const onResize = () => plot.setSize(size())
    addEventListener('resize', onResize)
    return () => {
      removeEventListener('resize', onResize)
      plot.destroy()
    }
  }, [points])
  return html`<div class="chart" ref=${place} role="img" aria-label=${label}></div>`
}

function Statuses({ data }) {
  const total = new Map()
  for (const { calls } of data)
    for (const [status, count] of Object.entries(calls)) total.set(status, (total.get(status) ?? 0) + count)
  if (total.size === 0) return html`<p>No end call was made within the last day.</p>`
  return html`<${Table} name="End calls by status" head=${['Status', 'Calls']}>
    ${[...total].sort().map(([status, count]) => html`<tr key=${status}><td>${status === 'none' ? 'no answer' : status}</td><td>${count}</td></tr>`)}
  <//>`
}
