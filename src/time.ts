const RFC3339 =
  /^(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3])(?::[0-5]\d){2}(?:\.\d{1,9})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

/**
 * Epoch ms of an RFC 3339 time with its offset, or undefined where it is none. `Date.parse` by itself would take times
 * without a zone for local ones and roll 30 February over into March.
 */
export function parseTime(text: string): number | undefined {
  const match = RFC3339.exec(text)
  if (!match || Number(match[3]) > daysIn(Number(match[1]), Number(match[2]))) return undefined
  return Date.parse(text.toUpperCase())
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return [4, 6, 9, 11].includes(month) ? 30 : 31
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
