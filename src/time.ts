const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

/**
 * Epoch ms of an RFC 3339 time with its offset, or undefined where it is none. `Date.parse` is not used on what
 * callers send: it takes times without a zone for local ones and rolls 30 February over into March.
 */
export function parseTime(text: string): number | undefined {
  const match = RFC3339.exec(text)
  if (!match) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const date = new Date(Date.UTC(2000, month - 1, day, hour, minute, second))
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined
  const ms = match[7] ? Math.floor(Number(`0.${match[7]}`) * 1000) : 0
  return date.getTime() + ms - offsetMs(match[8] as string)
}

function offsetMs(zone: string): number {
  if (zone === 'Z' || zone === 'z') return 0
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6))
  return (zone[0] === '-' ? -minutes : minutes) * 60_000
}

/** RFC 3339 in UTC with milliseconds. */
export function formatTime(at: number): string {
  return new Date(at).toISOString()
}

/** The same date and time of day one calendar year later; 29 February becomes 1 March. */
export function oneYearAfter(at: number): number {
  const date = new Date(at)
  return date.setUTCFullYear(date.getUTCFullYear() + 1)
}

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const

/** `250ms`, `5s`, `10m`, `6h` as milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9})(ms|s|m|h)$/.exec(text)
  return match ? Number(match[1]) * UNITS[match[2] as keyof typeof UNITS] : undefined
}
