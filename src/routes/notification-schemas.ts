import { type Static, Type } from 'typebox'
import { EndingId, UUID } from '../ending.ts'
import { EVENT_TYPES, NOTIFICATION_STATES } from '../notification.ts'
import { ProblemDocument } from '../problem.ts'
import { OneOf } from '../schema-helpers.ts'
import { Ending } from './ending-schemas.ts'
import { CallerName, closed, Limit } from './schemas.ts'

const TextOrNull = Type.Union([Type.String(), Type.Null()])
const StatusOrNull = Type.Union([Type.Integer(), Type.Null()])

export const NotificationTry = Type.Object({
  attempt: Type.Integer(),
  startedAt: Type.String(),
  durationMs: Type.Integer(),
  status: StatusOrNull,
  error: TextOrNull,
  answer: Type.String(),
})
export type NotificationTry = Static<typeof NotificationTry>

/** A notification as callers see it. Where it goes is the configuration's secret. */
export const NotificationView = Type.Object({
  id: Type.String(),
  ending: Type.String(),
  caller: Type.String(),
  type: OneOf(EVENT_TYPES),
  state: OneOf(NOTIFICATION_STATES),
  attempt: Type.Integer(),
  createdAt: Type.String(),
  nextAttemptAt: TextOrNull,
  finishedAt: TextOrNull,
  lastStatus: StatusOrNull,
  lastError: TextOrNull,
  tries: Type.Optional(Type.Array(NotificationTry)),
})
export type NotificationView = Static<typeof NotificationView>

/** What a receiver is sent: CloudEvents 1.0 in JSON. */
export const NotificationEvent = Type.Object({
  specversion: Type.Literal('1.0'),
  id: Type.String(),
  source: Type.Literal('/curfew'),
  type: OneOf(EVENT_TYPES),
  subject: Type.String(),
  time: Type.String(),
  datacontenttype: Type.Literal('application/json'),
  data: Ending,
})
export type NotificationEvent = Static<typeof NotificationEvent>

const filterFields = {
  state: Type.Optional(OneOf(NOTIFICATION_STATES)),
  ending: Type.Optional(EndingId),
  caller: Type.Optional(CallerName),
  type: Type.Optional(OneOf(EVENT_TYPES)),
}
const Filter = Type.Object(filterFields, {
  additionalProperties: false,
  minProperties: 1,
  description: 'an object with at least one of state, ending, caller and type',
})
export type Filter = Static<typeof Filter>

export const NotificationsQuery = closed({
  ...filterFields,
  limit: Type.Optional(Limit),
  cursor: Type.Optional(Type.String({ pattern: UUID, description: 'a nextCursor as it was given' })),
})
export const NotificationParams = closed({
  id: Type.String({ pattern: UUID, description: 'the UUID of a notification' }),
})
export const RetryRequest = closed({
  filter: Filter,
  dryRun: Type.Optional(Type.Boolean({ description: 'true or false' })),
})

const problems = { '4xx': ProblemDocument, '5xx': ProblemDocument }
export const notificationAnswer = { 200: NotificationView, ...problems }
export const notificationsAnswer = {
  200: Type.Object({ data: Type.Array(NotificationView), nextCursor: TextOrNull }),
  ...problems,
}
export const retriedAnswer = {
  200: Type.Object({
    matched: Type.Integer(),
    changed: Type.Integer(),
    skipped: Type.Integer(),
    notifications: Type.Array(Type.String()),
    more: Type.Boolean(),
    dryRun: Type.Boolean(),
  }),
  ...problems,
}
