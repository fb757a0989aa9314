import { type Static, type TProperties, Type } from 'typebox'
import {
  EndingId,
  FAILURES,
  Key,
  Metadata,
  Reason,
  Room,
  RoomExternalId,
  SessionId,
  StateName,
  Target,
  Time,
  UUID,
  WarnMinutes,
} from '../ending.ts'
import { ProblemDocument } from '../problem.ts'
import { OneOf } from '../schema-helpers.ts'
import type { EndingFilter } from '../storage/endings/pages.ts'
import { parseTime } from '../time.ts'
import { Ending } from './ending-schemas.ts'

/** Everything that is not named is refused. */
export const closed = <T extends TProperties>(properties: T) =>
  Type.Object(properties, { additionalProperties: false, description: 'a JSON object' })

/** For routes that take no query and no body. */
export const Nothing = closed({})

const details = {
  dueAt: Type.Optional(Time),
  reason: Type.Optional(Reason),
  key: Type.Optional(Key),
  urgent: Type.Optional(Type.Boolean({ description: 'true or false' })),
  metadata: Type.Optional(Metadata),
  warnMinutes: Type.Optional(WarnMinutes),
}
const holding = { holdFrom: Type.Optional(Time), holdUntil: Type.Optional(Time) }
/** Of a session: there is no room to keep closed. */
export const SessionEndRequest = closed(details)
export const EndRequest = closed({ ...details, ...holding })
export type EndRequest = Static<typeof EndRequest>
export const EndingRequest = closed({ target: Target, ...details, ...holding })
export const MoveRequest = closed({
  dueAt: Type.Optional(Time),
  extendMinutes: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1440, description: 'a whole number from 1 to 1440' }),
  ),
})
export type MoveRequest = Static<typeof MoveRequest>

export const SessionParams = closed({ sessionId: SessionId })
export const RoomParams = closed({ room: Room })
export const EndingParams = closed({ id: EndingId })

export const LIMIT = { most: 200, byDefault: 50 }
export const Limit = Type.String({
  pattern: '^([1-9]\\d?|1\\d\\d|200)$',
  description: `a whole number from 1 to ${LIMIT.most}, given once`,
})

export const CallerName = Type.String({ pattern: '^[a-z][a-z0-9-]*$', description: "a caller's name" })

/** What narrows a list of endings, and what is done to many at once. */
export const filterFields = {
  state: Type.Optional(StateName),
  failure: Type.Optional(OneOf(FAILURES)),
  reason: Type.Optional(Reason),
  session: Type.Optional(SessionId),
  room: Type.Optional(Room),
  key: Type.Optional(Key),
  subject: Type.Optional(RoomExternalId),
  requestedBy: Type.Optional(CallerName),
  dueBefore: Type.Optional(Time),
  dueAfter: Type.Optional(Time),
  finishedBefore: Type.Optional(Time),
  finishedAfter: Type.Optional(Time),
}
const Filter = Type.Object(filterFields)

export const ListQuery = closed({
  ...filterFields,
  sort: Type.Optional(
    Type.Unsafe<'dueAt'>({
      type: 'string',
      enum: ['dueAt'],
      description: 'dueAt (what is pending, the earliest first), or absent: the newest first',
    }),
  ),
  limit: Type.Optional(Limit),
  cursor: Type.Optional(
    Type.String({
      pattern: `^(\\d{1,16}\\.)?${UUID.replace(/^\^|\$$/g, '')}$`,
      description: 'a nextCursor as it was given',
    }),
  ),
})
export type ListQuery = Static<typeof ListQuery>

/** As the ledger takes it: times are epoch ms. */
export function endingFilter(filter: Static<typeof Filter>): EndingFilter {
  const { dueBefore, dueAfter, finishedBefore, finishedAfter, ...same } = filter
  const times = Object.entries({ dueBefore, dueAfter, finishedBefore, finishedAfter })
    .filter((entry): entry is [string, string] => entry[1] !== undefined)
    .map(([name, text]) => [name, parseTime(text) as number])
  return { ...same, ...Object.fromEntries(times) }
}

const answers = { '4xx': ProblemDocument, '5xx': ProblemDocument }
export const endingAnswer = { 200: Ending, 202: Ending, ...answers }
export const listAnswer = {
  200: Type.Object({ data: Type.Array(Ending), nextCursor: Type.Union([Type.String(), Type.Null()]) }),
  ...answers,
}
