import { type Static, Type } from 'typebox'
import { Time } from '../ending.ts'
import { ProblemDocument } from '../problem.ts'
import { Nullable, OneOf } from '../schema-helpers.ts'
import { closed } from './schemas.ts'

const STEP_NAMES = ['minute', 'hour', 'day'] as const

export const StatisticsQuery = closed({
  step: Type.Optional(OneOf(STEP_NAMES)),
  from: Type.Optional(Time),
  to: Type.Optional(Time),
})
export type StatisticsQuery = Static<typeof StatisticsQuery>

const Lateness = Type.Object({
  count: Type.Integer(),
  p50Ms: Type.Integer(),
  p99Ms: Type.Integer(),
  mostMs: Type.Integer(),
})

/** What happened in one minute, hour or day. */
export const StatisticsPoint = Type.Object({
  at: Type.String(),
  finished: Type.Record(Type.String(), Type.Integer()),
  calls: Type.Record(Type.String(), Type.Integer()),
  lateness: Nullable(Lateness),
})
export type StatisticsPoint = Static<typeof StatisticsPoint>

export const statisticsAnswer = {
  200: Type.Object({
    step: OneOf(STEP_NAMES),
    from: Type.String(),
    to: Type.String(),
    data: Type.Array(StatisticsPoint),
  }),
  '4xx': ProblemDocument,
  '5xx': ProblemDocument,
}
