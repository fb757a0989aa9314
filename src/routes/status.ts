import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { Problem, ProblemDocument } from '../problem.ts'
import type { ReceiverRow } from '../storage/schema.ts'
import { formatTime } from '../time.ts'
import { PauseView, pauseView } from './brake.ts'
import { Nothing } from './schemas.ts'

const TextOrNull = Type.Union([Type.String(), Type.Null()])
const Status = Type.Object({
  caller: Type.Object({ name: Type.String(), operator: Type.Boolean(), readOnly: Type.Boolean() }),
  accepting: Type.Boolean(),
  acceptingWhy: TextOrNull,
  calls: Type.Object({
    state: Type.String(),
    since: TextOrNull,
    why: TextOrNull,
    until: TextOrNull,
    budgetLeft: Type.Integer(),
  }),
  pauses: Type.Array(PauseView),
  pending: Type.Integer(),
  overdue: Type.Integer(),
  oldestOverdue: TextOrNull,
  failedLastDay: Type.Integer(),
  notifications: Type.Object({
    pending: Type.Integer(),
    failed: Type.Integer(),
    failing: Type.Array(Type.Object({ caller: Type.String(), since: Type.String(), why: TextOrNull })),
  }),
  webhook: Type.Object({ lastAt: TextOrNull, lastRefusedAt: TextOrNull }),
})

/** What somebody on call looks at first. */
export const status: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', app.authenticate)
  app.route({
    method: 'GET',
    url: '/status',
    schema: { querystring: Nothing, response: { 200: Status, '5xx': ProblemDocument } },
    handler: async ({ caller: { name, operator, readOnly = false } }) => {
      const [trouble, { oldestOverdue, ...backlog }, budgetLeft, told, failing] = await Promise.all([
        app.cannotStore(),
        app.ledger.backlog(),
        app.gate.budgetLeft(),
        app.notifications.counts(),
        app.notifications.failing(),
      ])
      const { state, since, why, until } = app.gate.status()
      const { lastAt, lastRefusedAt } = app.notices.webhook
      return {
        caller: { name, operator, readOnly },
        accepting: trouble === undefined,
        acceptingWhy: trouble ?? null,
        calls: { state, since: timeOrNull(since), why: why ?? null, until: timeOrNull(until), budgetLeft },
        pauses: app.gate.brake.pauses.map(pauseView),
        ...backlog,
        oldestOverdue: timeOrNull(oldestOverdue),
        notifications: { ...told, failing: failing.map(failingView) },
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
      if (app.isDraining()) throw new Problem('shutting-down', 'it is being stopped; ask another replica')
      const trouble = await app.cannotStore()
      if (trouble !== undefined) throw new Problem('storage-unavailable', trouble)
      return { status: 'ok' as const }
    },
  })
}

function failingView({ caller, failing_since, last_error }: ReceiverRow) {
  return { caller, since: formatTime(failing_since as number), why: last_error }
}

function timeOrNull(at: number | undefined): string | null {
  return at === undefined ? null : formatTime(at)
}
