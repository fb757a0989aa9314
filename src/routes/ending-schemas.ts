import { type Static, Type } from 'typebox'
import { FAILURES, OUTCOMES, RESULTS, StateName, Target } from '../ending.ts'
import { EVENT_TYPES, NOTIFICATION_STATES } from '../notification.ts'
import { Nullable, OneOf } from '../schema-helpers.ts'

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

/** What its caller was told of an ending: a line for each notification. */
export const NotificationLine = Type.Object({
  id: Type.String(),
  type: OneOf(EVENT_TYPES),
  state: OneOf(NOTIFICATION_STATES),
  attempt: Type.Integer(),
  createdAt: Type.String(),
  finishedAt: Nullable(Type.String()),
  lastStatus: Nullable(Type.Integer()),
})
export type NotificationLine = Static<typeof NotificationLine>

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
  notifications: Type.Optional(Type.Array(NotificationLine)),
  inForce: Type.Optional(Nullable(InForce)),
})
export type Ending = Static<typeof Ending>
