import { type Static, Type } from 'typebox'
import { EndingId, SessionId, Target, UUID, WarnMinutes } from '../ending.ts'
import { ProblemDocument } from '../problem.ts'
import { Nullable } from '../schema-helpers.ts'
import { LONGEST_LIMIT_MINUTES } from '../time-limits/rules.ts'
import { Attempt, Ending, InForce, WarningView } from './ending-schemas.ts'
import { orRehearsed } from './rehearsal.ts'
import { closed, Limit } from './schemas.ts'

const answers = { '4xx': ProblemDocument, '5xx': ProblemDocument }
const page = <T extends Parameters<typeof Type.Array>[0]>(item: T) =>
  Type.Object({ data: Type.Array(item), nextCursor: Nullable(Type.String()) })

const RULE_ROOM = '^([A-Za-z0-9_-]{3,64}|external:[^\\p{Cc}\\p{Cs}]{1,200})$'
export const RuleParams = closed({
  room: Type.String({
    pattern: RULE_ROOM,
    description: 'a room: its UUID, its friendly URL, or external: and its external id',
  }),
})
export const RuleRequest = closed({
  maxMinutes: Type.Integer({
    minimum: 1,
    maximum: LONGEST_LIMIT_MINUTES,
    description: `a whole number of minutes from 1 to ${LONGEST_LIMIT_MINUTES}`,
  }),
  warnMinutes: Type.Optional(WarnMinutes),
})
export const RuleView = Type.Object({
  room: Type.String(),
  maxMinutes: Type.Integer(),
  warnMinutes: Nullable(Type.Array(Type.Integer())),
  requestedBy: Type.String(),
  createdAt: Type.String(),
  updatedAt: Type.String(),
})
export type RuleView = Static<typeof RuleView>
export const ruleAnswer = { 200: orRehearsed(RuleView), 201: RuleView, ...answers }
export const RulesQuery = closed({
  limit: Type.Optional(Limit),
  cursor: Type.Optional(Type.String({ pattern: RULE_ROOM, description: 'a nextCursor as it was given' })),
})
export const rulesAnswer = { 200: page(RuleView), ...answers }

export const HoldParams = closed({ id: Type.String({ pattern: UUID, description: 'the UUID of a hold' }) })
export const HoldView = Type.Object({
  id: Type.String(),
  target: Target,
  holdFrom: Type.String(),
  holdUntil: Nullable(Type.String()),
  requestedBy: Type.String(),
  reason: Type.String(),
  subject: Nullable(Type.String()),
  ending: Nullable(Type.String()),
  createdAt: Type.String(),
  liftedAt: Nullable(Type.String()),
  liftedBy: Nullable(Type.String()),
})
export type HoldView = Static<typeof HoldView>
export const holdAnswer = { 200: orRehearsed(HoldView), ...answers }
export const PageQuery = closed({
  limit: Type.Optional(Limit),
  cursor: Type.Optional(Type.String({ pattern: UUID, description: 'a nextCursor as it was given' })),
})
export const holdsAnswer = { 200: page(HoldView), ...answers }

export const SessionsQuery = closed({
  live: Type.Optional(Type.Unsafe<'true'>({ type: 'string', enum: ['true'], description: 'true' })),
  cursor: Type.Optional(Type.String({ pattern: UUID, description: 'a nextCursor as it was given' })),
})
const RoomView = Type.Object({
  id: Nullable(Type.String()),
  friendlyUrl: Nullable(Type.String()),
  externalId: Nullable(Type.String()),
})
const SessionItem = Type.Object({
  id: Type.String(),
  room: RoomView,
  startedAt: Nullable(Type.String()),
  participants: Nullable(Type.Integer()),
  inForce: Nullable(InForce),
})
export const sessionsAnswer = { 200: page(SessionItem), ...answers }

export const SessionParams = closed({ sessionId: SessionId })
export const SessionQuery = closed({
  include: Type.Optional(Type.Unsafe<'room'>({ type: 'string', enum: ['room'], description: 'room' })),
})
export const EndedBy = Type.Object({ id: Type.String(), requestedBy: Type.String(), reason: Type.String() })
export type EndedBy = Static<typeof EndedBy>
export const SessionView = Type.Object({
  id: Type.String(),
  room: Nullable(RoomView),
  startedAt: Nullable(Type.String()),
  live: Nullable(Type.Boolean()),
  participants: Nullable(Type.Integer()),
  overAt: Nullable(Type.String()),
  inForce: Nullable(InForce),
  endedBy: Nullable(EndedBy),
  why: Type.String(),
  rule: Nullable(RuleView),
  holds: Type.Array(HoldView),
  endings: Type.Array(Ending),
})
export type SessionView = Static<typeof SessionView>
export const sessionAnswer = { 200: SessionView, ...answers }

export const ReceiptParams = closed({ id: EndingId })
export const Receipt = Type.Object({
  ending: Type.String(),
  target: Target,
  requestedBy: Type.String(),
  reason: Type.String(),
  key: Nullable(Type.String()),
  subject: Nullable(Type.String()),
  createdAt: Type.String(),
  dueAt: Type.String(),
  state: Type.String(),
  outcome: Nullable(Type.String()),
  failure: Nullable(Type.String()),
  firstCallAt: Nullable(Type.String()),
  latenessMs: Nullable(Type.Integer()),
  finishedAt: Nullable(Type.String()),
  confirmedAt: Nullable(Type.String()),
  attempts: Type.Array(Attempt),
  warnings: Type.Array(WarningView),
  metadata: Type.Unknown(),
  issuedAt: Type.String(),
})
export type Receipt = Static<typeof Receipt>
export const receiptAnswer = { 200: Receipt, ...answers }
