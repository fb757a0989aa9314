import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { parseTime } from '../time.ts'
import { MalformedAnswerError } from './errors.ts'

/** A session that is live, as the lists tell it. `startedAt` is epoch ms. */
export interface LiveSession {
  id: string
  startedAt: number
  roomExternalId: string | null
}

// Only what is needed is asked for: the vendor adds and omits fields freely.
const Item = Type.Object({
  id: Type.String({ minLength: 1 }),
  start_time: Type.String(),
  live: Type.Optional(Type.Boolean()),
  room_external_id: Type.Optional(Type.Union([Type.String(), Type.Null()])),
})
// `total_count` is a number in some documents and a string in others, and is not needed: a short page is the last.
const page = Compile(Type.Object({ data: Type.Array(Item) }))
const details = Compile(Type.Object({ session_live: Type.Boolean() }))

/** One page of a list, with how many items the page had before those not live were left out. */
export function readPage(body: unknown): { size: number; last: string | undefined; sessions: LiveSession[] } {
  if (!page.Check(body))
    throw new MalformedAnswerError('answered a list of sessions that is not as documented')
  const sessions = body.data.filter((item) => item.live !== false).map(readItem)
  return { size: body.data.length, last: body.data.at(-1)?.id, sessions }
}

function readItem(item: Static<typeof Item>): LiveSession {
  const startedAt = parseVendorTime(item.start_time)
  // Without its start nobody can tell whether the session is an ending's business, so nothing is guessed.
  if (startedAt === undefined)
    throw new MalformedAnswerError(
      `answered a session whose start_time is no time (session ${item.id.slice(0, 36)})`,
    )
  return { id: item.id.toLowerCase(), startedAt, roomExternalId: item.room_external_id ?? null }
}

export function readSession(body: unknown): { live: boolean } {
  if (!details.Check(body)) throw new MalformedAnswerError('answered a session that is not as documented')
  return { live: body.session_live }
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
