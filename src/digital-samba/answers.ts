import { parseTime } from '../time.ts'
import { type ErrorBody, MalformedAnswerError } from './errors.ts'

/** A session as a list tells it; `startedAt` (epoch ms) is undefined where it was not told in a way that can be read. */
export interface ListedSession {
  id: string
  startedAt: number | undefined
  roomId: string | null
  friendlyUrl: string | null
  externalId: string | null
  participants: number | null
}

/** One whose start is known: without it nobody can tell whose business the session is. */
export type LiveSession = ListedSession & { startedAt: number }

export const isStartKnown = (session: ListedSession): session is LiveSession =>
  session.startedAt !== undefined

/** One page of a list. */
export interface Page {
  /** how many items it had, whatever they were */
  size: number
  /** the ids on it, those no longer live included */
  ids: string[]
  /** the last id as it was told, for the page after this one */
  last: string | undefined
  sessions: ListedSession[]
  /** how many items were left out, for they had no id */
  nameless: number
}

/**
 * Reads a page. Only what is needed is asked for, since the vendor adds and omits fields freely; `total_count`, a
 * number in some documents and a string in others, is not needed: a short page is the last. One odd item among others
 * is left out; a page on which no item makes sense is no page.
 */
export function readPage(body: unknown): Page {
  const items = (body as { data?: unknown } | null)?.data
  if (!Array.isArray(items)) throw new MalformedAnswerError('answered a list that is not as documented')
  const byId = new Map<string, ListedSession | undefined>()
  let nameless = 0
  let last: string | undefined
  for (const item of items) {
    const session = readItem(item)
    if (session) last = (item as { id: string }).id
    if (!session) nameless += 1
    // The same one twice is one.
    else if (!byId.has(session.id))
      byId.set(session.id, (item as { live?: unknown }).live === false ? undefined : session)
  }
  if (items.length > 0 && byId.size === 0)
    throw new MalformedAnswerError('answered a list of sessions without ids')
  const sessions = [...byId.values()].filter((session) => session !== undefined)
  return { size: items.length, ids: [...byId.keys()], last, sessions, nameless }
}

function readItem(item: unknown): ListedSession | undefined {
  const { id, start_time: start, ...rest } = (item ?? {}) as Record<string, unknown>
  if (typeof id !== 'string' || !ID.test(id)) return undefined
  return {
    id: id.toLowerCase(),
    startedAt: startOf(start),
    roomId: named(rest.room_id, ID)?.toLowerCase() ?? null,
    friendlyUrl: named(rest.friendly_url, ID),
    externalId: named(rest.room_external_id, EXTERNAL_ID),
    participants: countOf(rest.participants_live),
  }
}

// What cannot be a name cannot be stored on every engine either, and nobody can have meant it: it is none.
const ID = /^[A-Za-z0-9_-]{1,64}$/
const EXTERNAL_ID = /^[^\p{Cc}\p{Cs}]{1,200}$/u
const named = (value: unknown, pattern: RegExp) =>
  typeof value === 'string' && pattern.test(value) ? value : null
const startOf = (value: unknown) => (typeof value === 'string' ? parseVendorTime(value) : undefined)
const countOf = (value: unknown) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : null

/** A session by itself. */
export type OneSession = ListedSession & { live: boolean }

export function readSession(session: string, body: unknown): OneSession {
  const { session_live: live, session_start_time: start, ...rest } = (body ?? {}) as Record<string, unknown>
  if (typeof live !== 'boolean')
    throw new MalformedAnswerError('answered a session that is not as documented')
  return {
    id: session.toLowerCase(),
    live,
    startedAt: startOf(start),
    roomId: named(rest.room_id, ID)?.toLowerCase() ?? null,
    friendlyUrl: named(rest.room_friendly_url, ID),
    externalId: named(rest.room_external_id, EXTERNAL_ID),
    participants: countOf(rest.live_participants),
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

/**
 * What an error has to say. Digital Samba's own body is a JSON object with `message`, `error` and `errors`, any of
 * which may be missing, or nothing at all; whatever else may come is foreign, a proxy's page for one.
 */
export function readErrorBody(text: string): ErrorBody {
  const body = text.trim() === '' ? {} : parsed(text)
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return { message: '', isForeign: true, isNotFound: false }
  const { message, error } = body as Record<string, unknown>
  const said = storable(typeof message === 'string' ? message : typeof error === 'string' ? error : '')
  // `error` decides where it is there; the message stands alone in some of the vendor's samples.
  const isNotFound = typeof error === 'string' ? error === 'not-found' : /\bnot found\b/i.test(said)
  return { message: said.slice(0, 200), isForeign: false, isNotFound }
}

/** Text from outside as every engine can store it and every terminal show it: in one line, without control characters. */
export function storable(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[\s\p{Cc}]+/gu, ' ')
    .trim()
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
