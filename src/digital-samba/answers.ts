import { parseTime } from '../time.ts'
import { MalformedAnswerError } from './errors.ts'

/** A session that is live, as the lists tell it. `startedAt` is epoch ms. */
export interface LiveSession {
  id: string
  startedAt: number
  roomId: string | null
  friendlyUrl: string | null
  externalId: string | null
  participants: number | null
}

/**
 * One page of a list, with how many items the page had before those not live were left out. Only what is needed is
 * asked for, since the vendor adds and omits fields freely; `total_count`, a number in some documents and a string in
 * others, is not needed: a short page is the last.
 */
export function readPage(body: unknown): { size: number; last: string | undefined; sessions: LiveSession[] } {
  const items = (body as { data?: unknown } | null)?.data
  if (!Array.isArray(items)) throw new MalformedAnswerError('answered a list that is not as documented')
  const sessions = items.map(readItem)
  const live = sessions.filter((_, i) => (items[i] as { live?: unknown }).live !== false)
  return { size: items.length, last: (items.at(-1) as { id?: string } | undefined)?.id, sessions: live }
}

function readItem(item: unknown): LiveSession {
  const { id, start_time: start, ...rest } = (item ?? {}) as Record<string, unknown>
  if (typeof id !== 'string' || id === '') throw new MalformedAnswerError('answered a session without an id')
  // Without its start nobody can tell whether the session is an ending's business, so nothing is guessed.
  const startedAt = typeof start === 'string' ? parseVendorTime(start) : undefined
  if (startedAt === undefined)
    throw new MalformedAnswerError(
      `answered a session whose start_time is no time (session ${id.slice(0, 36)})`,
    )
  return {
    id: id.toLowerCase(),
    startedAt,
    roomId: textOr(rest.room_id)?.toLowerCase() ?? null,
    friendlyUrl: textOr(rest.friendly_url),
    externalId: textOr(rest.room_external_id),
    participants: typeof rest.participants_live === 'number' ? rest.participants_live : null,
  }
}

const textOr = (value: unknown) => (typeof value === 'string' && value !== '' ? value : null)

/** A session by itself; `startedAt` is undefined where it was not told in a way that can be read. */
export type OneSession = Omit<LiveSession, 'startedAt'> & { startedAt: number | undefined; live: boolean }

export function readSession(session: string, body: unknown): OneSession {
  const { session_live: live, session_start_time: start, ...rest } = (body ?? {}) as Record<string, unknown>
  if (typeof live !== 'boolean')
    throw new MalformedAnswerError('answered a session that is not as documented')
  return {
    id: session.toLowerCase(),
    live,
    startedAt: typeof start === 'string' ? parseVendorTime(start) : undefined,
    roomId: textOr(rest.room_id)?.toLowerCase() ?? null,
    friendlyUrl: textOr(rest.room_friendly_url),
    externalId: textOr(rest.room_external_id),
    participants: typeof rest.live_participants === 'number' ? rest.live_participants : null,
  }
}

/** Epoch ms of any of the vendor's three spellings; all are UTC, also the one that does not say so. */
export function parseVendorTime(text: string): number | undefined {
  const spelled = text.replace(' ', 'T')
  return parseTime(/(Z|[+-]\d\d:\d\d)$/i.test(spelled) ? spelled : `${spelled}Z`)
}

/**
 * `Retry-After` in ms: seconds, or a date, which is read against the answer's own `Date` where it has one, since the
 * two clocks need not agree. Undefined where it is missing or says nothing.
 */
export function parseRetryAfter(headers: Record<string, unknown>, now: number): number | undefined {
  const value = String(headers['retry-after'] ?? '').trim()
  if (/^\d{1,9}(\.\d+)?$/.test(value)) return Math.ceil(Number(value) * 1000)
  const until = Date.parse(value)
  if (Number.isNaN(until)) return undefined
  const theirs = Date.parse(String(headers.date ?? ''))
  return Math.max(until - (Number.isNaN(theirs) ? now : theirs), 0)
}

/** What an error body has to say, short: the vendor's `message`, or nothing. */
export function readMessage(body: string): string {
  try {
    const { message, error } = JSON.parse(body) as { message?: unknown; error?: unknown }
    const said = typeof message === 'string' ? message : typeof error === 'string' ? error : ''
    return said.replaceAll(/\s+/g, ' ').slice(0, 200)
  } catch {
    return ''
  }
}
