import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { Problem, ProblemDocument } from '../problem.ts'
import { formatTime } from '../time.ts'
import { Nothing } from './schemas.ts'

const TextOrNull = Type.Union([Type.String(), Type.Null()])
const Status = Type.Object({
  accepting: Type.Boolean(),
  acceptingWhy: TextOrNull,
  calls: Type.Object({
    state: Type.String(),
    since: TextOrNull,
    why: TextOrNull,
    until: TextOrNull,
    budgetLeft: Type.Integer(),
  }),
  pending: Type.Integer(),
  overdue: Type.Integer(),
  oldestOverdue: TextOrNull,
  failedLastDay: Type.Integer(),
  webhook: Type.Object({ lastAt: TextOrNull, lastRefusedAt: TextOrNull }),
})

/** What somebody on call looks at first. */
export const status: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', app.authenticate)
  app.route({
    method: 'GET',
    url: '/status',
    schema: { querystring: Nothing, response: { 200: Status, '5xx': ProblemDocument } },
    handler: async () => {
      const [trouble, { oldestOverdue, ...backlog }] = await Promise.all([
        app.cannotStore(),
        app.ledger.backlog(),
      ])
      const { state, since, why, until, budgetLeft } = app.gate.status()
      const { lastAt, lastRefusedAt } = app.notices.webhook
      return {
        accepting: trouble === undefined,
        acceptingWhy: trouble ?? null,
        calls: { state, since: timeOrNull(since), why: why ?? null, until: timeOrNull(until), budgetLeft },
        ...backlog,
        oldestOverdue: timeOrNull(oldestOverdue),
        webhook: { lastAt: timeOrNull(lastAt), lastRefusedAt: timeOrNull(lastRefusedAt) },
      }
    },
  })
}

const Fine = { 200: Type.Object({ status: Type.Literal('ok') }), '5xx': ProblemDocument }

/** For whoever starts, stops and routes to the process: open to all, so it tells no more than why not. */
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
      const trouble = await app.cannotStore()
      if (trouble !== undefined) throw new Problem('storage-unavailable', trouble)
      return { status: 'ok' as const }
    },
  })
}

function timeOrNull(at: number | undefined): string | null {
  return at === undefined ? null : formatTime(at)
}
