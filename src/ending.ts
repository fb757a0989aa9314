import { type Static, Type } from 'typebox'

/**
 * An ending: end this target, at this time, for this reason. Everything that Curfew does is one of these.
 * This file knows the noun (its shapes and the states it goes through) and nothing of HTTP, SQL or Digital Samba.
 */

/** `pending` waits for its due time or next attempt; the other three are how it can be over. See docs/lifecycle.md. */
export const STATES = ['pending', 'ended', 'failed', 'cancelled'] as const
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

export const TARGET_KINDS = ['session', 'room', 'external'] as const
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

const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()])
const OneOf = <const T extends readonly string[]>(values: T) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: [...values], description: `one of ${values.join(', ')}` })
export const StateName = OneOf(STATES)

/** One end call, as callers see it. */
export const Attempt = Type.Object({
  attempt: Type.Integer(),
  session: Type.String(),
  startedAt: Type.String(),
  durationMs: Type.Integer(),
  status: Nullable(Type.Integer()),
  result: OneOf(RESULTS),
  error: Nullable(Type.String()),
})
export type Attempt = Static<typeof Attempt>

/** Somebody's change of an ending: only what is different. */
export const ChangeView = Type.Object({
  at: Type.String(),
  by: Type.String(),
  change: Type.String(),
  from: Type.Unknown(),
  to: Type.Unknown(),
})
export type ChangeView = Static<typeof ChangeView>

/** A warning that was given: `minutes` is which, `toldMinutes` what people were told. */
export const WarningView = Type.Object({
  minutes: Type.Integer(),
  toldMinutes: Type.Integer(),
  dueAt: Type.String(),
  markedAt: Type.String(),
  sentAt: Nullable(Type.String()),
  result: Type.String(),
})
export type WarningView = Static<typeof WarningView>

/** The ending that decides when a session ends: of all that are pending for it, the earliest. */
export const InForce = Type.Object({
  ending: Type.String(),
  dueAt: Type.String(),
  requestedBy: Type.String(),
  reason: Type.String(),
})
export type InForce = Static<typeof InForce>

/** An ending as callers see it; times are RFC 3339 in UTC with milliseconds. */
export const Ending = Type.Object({
  id: Type.String(),
  state: StateName,
  target: Target,
  reason: Type.String(),
  requestedBy: Type.String(),
  key: Nullable(Type.String()),
  subject: Nullable(Type.String()),
  urgent: Type.Boolean(),
  dueAt: Type.String(),
  attempt: Type.Integer(),
  nextAttemptAt: Nullable(Type.String()),
  outcome: Nullable(OneOf(OUTCOMES)),
  failure: Nullable(OneOf(FAILURES)),
  createdAt: Type.String(),
  finishedAt: Nullable(Type.String()),
  confirmedAt: Nullable(Type.String()),
  metadata: Type.Unknown(),
  lastError: Nullable(Type.Object({ at: Type.String(), error: Type.String() })),
  warnMinutes: Type.Optional(Type.Array(Type.Integer())),
  holdFrom: Type.Optional(Nullable(Type.String())),
  holdUntil: Type.Optional(Nullable(Type.String())),
  attempts: Type.Optional(Type.Array(Attempt)),
  warnings: Type.Optional(Type.Array(WarningView)),
  changes: Type.Optional(Type.Array(ChangeView)),
  changesOmitted: Type.Optional(Type.Integer()),
  inForce: Type.Optional(Nullable(InForce)),
})
export type Ending = Static<typeof Ending>

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
  /** keeps its room closed afterwards */
  hold?: Hold | undefined
}

/** When a room is kept closed (epoch ms); `until` null means until somebody lifts it. */
export interface Hold {
  from: number
  until: number | null
}

/** What somebody wants who does not name endings by their ids: first to take some back, then to store others. */
export interface Change {
  /** that party's pending endings with this key, or with this subject */
  withdraw?: { key: string } | { subject: string }
  put: Instruction[]
  /** rooms that are opened again: that party's holds for a subject, or for a room and time */
  lift?: Array<{ subject: string } | { room: Target; from: number; until: number; subjectPrefix: string }>
  /** rooms that are closed though nothing is to be ended now */
  close?: Array<Hold & { room: Target; reason: string; subject: string }>
}

/** What an event means for endings, and where it stands in the order of the events about its subject. */
export interface EventMeaning {
  source: string
  id: string
  type: string
  /** undefined where events of this type have no order */
  subject: string | undefined
  /** epoch ms; undefined where its arrival counts */
  time: number | undefined
  /** Of two events of the same time the one with the higher precedence wins. */
  precedence: number
  /** What is known of the subject after this event; `newest` says that no later one came before it. Pure. */
  learn(before: unknown, newest: boolean): unknown
  /** What follows from what is known. Pure. */
  decide(memory: unknown): Change
  /** Until when (epoch ms) what is known matters. */
  mattersUntil(memory: unknown): number
  /** The room that is booked by what is known. */
  booked(memory: unknown): Booked | undefined
}

/** A room that is booked (epoch ms); one whose start is not known may have begun. */
export interface Booked {
  room: Target
  from: number | null
  until: number
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
