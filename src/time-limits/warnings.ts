import { CLOCK_DOUBT_MS } from '../clock.ts'
import { MINUTE_MS } from './rules.ts'

// Half a minute before the end nobody can do anything about it any more.
const WORTH_MS = 30_000

/** One warning: which of them (`minutes`), and what people are to be told, which is less where it comes late. */
export interface Warning {
  minutes: number
  toldMinutes: number
}

/** A time that people were told of: when the end is due (epoch ms), and how many minutes before it. */
export interface Told {
  dueAt: number
  minutes: number
}

// A chat full of warnings is read by nobody.
const BETWEEN_WARNINGS_MS = 2 * MINUTE_MS

/** Whether people in a room may be warned at `now`: not twice within two minutes, and of the same time only once. */
export function mayWarn(
  before: { warnedAt: number; told: Told[] },
  { dueAt, minutes }: Told,
  now: number,
): boolean {
  const since = now - before.warnedAt
  // A clock that was set back must not silence a room.
  if (since > -CLOCK_DOUBT_MS && since < BETWEEN_WARNINGS_MS) return false
  return !before.told.some((told) => told.dueAt === dueAt && told.minutes === minutes)
}

/**
 * When to warn next (epoch ms) of an end at `dueAt`; null where there is nothing left to warn of. Where the time of a
 * warning has passed, now, unless the next one comes within the minute.
 */
export function nextWarningAt(dueAt: number, minutes: number[], now: number): number | null {
  const ahead = minutes.map((m) => dueAt - m * MINUTE_MS).filter((at) => at >= now)
  const next = ahead.length > 0 ? Math.min(...ahead) : null
  const missed = ahead.length < minutes.length
  if (!missed || dueAt - now < WORTH_MS || (next !== null && next - now < MINUTE_MS)) return next
  return now
}

/** The warning that is due at `now`; undefined where it is too late for any, or so late that the next one does. */
export function warningAt(dueAt: number, minutes: number[], now: number): Warning | undefined {
  if (dueAt - now < WORTH_MS) return undefined
  const passed = minutes.filter((m) => dueAt - m * MINUTE_MS <= now)
  if (passed.length === 0) return undefined
  const which = Math.min(...passed)
  const toldMinutes = Math.max(Math.round((dueAt - now) / MINUTE_MS), 1)
  const next = warningAfter(dueAt, minutes, now)
  if (toldMinutes !== which && next !== null && next - now < MINUTE_MS) return undefined
  return { minutes: which, toldMinutes }
}

/** When the warning after the one at `now` is due (epoch ms), or null. */
export function warningAfter(dueAt: number, minutes: number[], now: number): number | null {
  const ahead = minutes.map((m) => dueAt - m * MINUTE_MS).filter((at) => at > now)
  return ahead.length > 0 ? Math.min(...ahead) : null
}

/** `{minutes}` and `{time}` (of the end, in UTC) filled in. */
export function warningText(template: string, { toldMinutes }: Warning, dueAt: number): string {
  const time = `${new Date(dueAt).toISOString().slice(11, 16)} UTC`
  return template.replaceAll('{minutes}', String(toldMinutes)).replaceAll('{time}', time)
}
