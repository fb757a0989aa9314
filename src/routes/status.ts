import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { Problem, ProblemDocument } from '../problem.ts'
import { formatTime } from '../time.ts'
import { Nothing } from './schemas.ts'

const TimeOrNull = Type.Union([Type.String(), Type.Null()])
const Status = Type.Object({
  accepting: Type.Boolean(),
  calls: Type.Object({
    state: Type.String(),
    since: TimeOrNull,
    why: TimeOrNull,
    budgetLeft: Type.Integer(),
  }),
  pending: Type.Integer(),
  overdue: Type.Integer(),
  oldestOverdue: TimeOrNull,
})

/** What somebody on call looks at first. */
export const status: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', app.authenticate)
  app.route({
    method: 'GET',
    url: '/status',
    schema: { querystring: Nothing, response: { 200: Status, '5xx': ProblemDocument } },
    handler: async () => {
      const [accepting, { pending, overdue, oldestOverdue }] = await Promise.all([
        app.canStore(),
        app.ledger.backlog(),
      ])
      const { state, since, why, budgetLeft } = app.gate.status()
      const calls = { state, since: timeOrNull(since), why: why ?? null, budgetLeft }
      return { accepting, calls, pending, overdue, oldestOverdue: timeOrNull(oldestOverdue) }
    },
  })
}

const Fine = { 200: Type.Object({ status: Type.Literal('ok') }), '5xx': ProblemDocument }

/** For whoever starts, stops and routes to the process: open to all, and saying nothing but yes or no. */
export const health: FastifyPluginAsyncTypebox = async (app) => {
  app.route({
    method: 'GET',
    url: '/healthz',
    schema: { querystring: Nothing, response: Fine },
    handler: () => ({ status: 'ok' as const }),
  })
  app.route({
    method: 'GET',
    url: '/readyz',
    schema: { querystring: Nothing, response: Fine },
    handler: async () => {
      if (!(await app.canStore()))
        throw new Problem('storage-unavailable', 'the ledger cannot be written just now')
      return { status: 'ok' as const }
    },
  })
}

function timeOrNull(at: number | undefined): string | null {
  return at === undefined ? null : formatTime(at)
}
