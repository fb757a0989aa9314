import { type Static, Type } from 'typebox'
import { OneOf } from './schema-helpers.ts'

/**
 * An ending: end this target, at this time, for this reason. Everything that Curfew does is one of these.
 * This file knows the noun (its shapes and the states it goes through) and nothing of HTTP, SQL or Digital Samba.
 */

/** `pending` waits for its due time or next attempt; the other three are how it can be over. See docs/lifecycle.md. */
const STATES = ['pending', 'ended', 'failed', 'cancelled'] as const
export type State = (typeof STATES)[number]

/** How an `ended` one ended: by us, before us, or because its room had no session that was its business. */
export const OUTCOMES = ['ended', 'already_ended', 'nothing_live'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** Why a `failed` one was given up. */
export const FAILURES = ['session_not_found', 'room_not_found', 'rejected', 'gave_up'] as const
export type Failure = (typeof FAILURES)[number]

/** What one end call came to. */
export const RESULTS = ['ended', 'already_ended', 'not_found', 'rejected', 'retry'] as const
export type Result = (typeof RESULTS)[number]

const TARGET_KINDS = ['session', 'room', 'external'] as const
export type TargetKind = (typeof TARGET_KINDS)[number]

export const UUID = '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$'
// No control characters (PostgreSQL cannot store NUL) and no half surrogates (they do not survive UTF-8).
const TEXT = '^[^\\p{Cc}\\p{Cs}]+$'

/** Every `description` completes the sentence "must be …": it is what a caller is told when the value is not. */
export const SessionId = Type.String({ pattern: UUID, description: 'the UUID of a session' })
export const EndingId = Type.String({ pattern: UUID, description: 'the UUID of an ending' })
// A UUID is 36 of the same characters, so one pattern serves both spellings.
export const Room = Type.String({
  pattern: '^[A-Za-z0-9_-]{3,64}$',
  description: 'a string, the UUID of a room or its friendly URL of 3 to 64 letters, digits, - and _',
})
export const RoomExternalId = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: TEXT,
  description: 'a string of 1 to 200 characters, the external id of a room, none of them a control character',
})
export const Reason = Type.String({
  pattern: '^[a-z][a-z0-9_]{0,63}$',
  description:
    'a string such as booking_cancelled: a lower-case letter, then up to 63 of those, digits and _',
})
export const Key = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: TEXT,
  description: 'a string of 1 to 200 characters, none of them a control character',
})
export const Time = Type.String({
  format: 'rfc3339',
  description: 'a time as in RFC 3339 with an offset or Z, for example 2026-11-23T15:00:00Z',
})
export const WarnMinutes = Type.Array(
  Type.Integer({ minimum: 1, maximum: 1440, description: 'a whole number of minutes from 1 to 1440' }),
  {
    maxItems: 10,
    uniqueItems: true,
    description: 'a list of up to ten different numbers of minutes, such as [10, 2]',
  },
)
export const METADATA_BYTES = 4096
export const Metadata = Type.Record(Type.String(), Type.Unknown(), {
  description: `an object of at most ${METADATA_BYTES} bytes of JSON`,
})

/** Exactly one of the three; said with minProperties and maxProperties because a failed union speaks in riddles. */
export const Target = Type.Object(
  {
    session: Type.Optional(SessionId),
    room: Type.Optional(Room),
    roomExternalId: Type.Optional(RoomExternalId),
  },
  {
    additionalProperties: false,
    minProperties: 1,
    maxProperties: 1,
    description: 'an object with exactly one of session, room and roomExternalId',
  },
)
export type Target = Static<typeof Target>

export const StateName = OneOf(STATES)

/** What somebody wants: an ending before it has an id. Times are epoch ms. */
export interface Instruction {
  target: Target
  dueAt: number
  reason: string
  requestedBy: string
  key: string | null
  subject: string | null
  urgent: boolean
  metadata: unknown
  /** how many minutes before its due time people are warned; absent: as configured */
  warnMinutes?: number[] | undefined
  /** W3C trace context of what asked for it; absent: a new one is made */
  traceparent?: string | undefined
  /** keeps its room closed afterwards */
  hold?: Hold | undefined
}

/** When a room is kept closed (epoch ms); `until` null means until somebody lifts it. */
export interface Hold {
  from: number
  until: number | null
}

/** The two columns a target is kept in. UUIDs are compared without regard to case, so they are kept in lower case. */
export function targetColumns(target: Target): { target_kind: TargetKind; target_id: string } {
  if (target.session !== undefined) return { target_kind: 'session', target_id: target.session.toLowerCase() }
  if (target.room !== undefined) return { target_kind: 'room', target_id: roomId(target.room) }
  return { target_kind: 'external', target_id: target.roomExternalId as string }
}

/** A room's UUID in lower case; a friendly URL as it is. */
export function roomId(room: string): string {
  return new RegExp(UUID).test(room) ? room.toLowerCase() : room
}

/** The inverse of `targetColumns`. */
export function targetOf(kind: TargetKind, id: string): Target {
  if (kind === 'session') return { session: id }
  return kind === 'room' ? { room: id } : { roomExternalId: id }
}
