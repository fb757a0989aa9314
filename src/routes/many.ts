import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { invalid, Problem, ProblemDocument } from '../problem.ts'
import type { ManyChange } from '../storage/endings/many.ts'
import type { EndingFilter } from '../storage/endings/pages.ts'
import { changeMany } from '../storage/many-store.ts'
import { logStored } from './accept.ts'
import { closed, endingFilter, filterFields, Nothing } from './schemas.ts'

const ManyRequest = closed({
  filter: Type.Object(filterFields, {
    additionalProperties: false,
    minProperties: 1,
    description: 'an object with at least one of the filters of GET /v1/endings',
  }),
  dryRun: Type.Optional(Type.Boolean({ description: 'true or false' })),
})
type ManyRequest = Static<typeof ManyRequest>

const ManyAnswer = Type.Object({
  matched: Type.Integer(),
  changed: Type.Integer(),
  skipped: Type.Integer(),
  endings: Type.Array(Type.String()),
  more: Type.Boolean(),
  dryRun: Type.Boolean(),
})
const answers = { 200: ManyAnswer, '4xx': ProblemDocument, '5xx': ProblemDocument }

const MOST_IDS = 100
const STATE = { cancel: 'pending', retry: 'failed' } as const
const EVENT = { cancel: 'ending.cancelled', retry: 'ending.retried' } as const

/** What is done to many endings at once: a caller's own, an operator's all. */
export const many: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', app.authenticate)
  for (const change of ['cancel', 'retry'] as const)
    app.route({
      method: 'POST',
      url: `/v1/endings/${change}`,
      schema: { querystring: Nothing, body: ManyRequest, response: answers },
      handler: (request) => changed(request, change, request.body),
    })
}

async function changed(request: FastifyRequest, change: ManyChange, { filter, dryRun = false }: ManyRequest) {
  const { caller, log, server } = request
  const own = ownOnly(request, checked(change, endingFilter(filter)))
  const onChanged = (ending: Parameters<typeof logStored>[1]) =>
    logStored(request, ending, ending.state === 'cancelled' ? EVENT.cancel : EVENT[change])
  const done = await changeMany(server.ledger, {
    change,
    filter: own,
    caller,
    isRehearsal: dryRun,
    onChanged,
  })
  const counts = { matched: done.matched, changed: done.changed.length }
  if (!dryRun) log.info({ by: caller.name, filter, ...counts, more: done.isMore }, `endings.${change}_many`)
  return {
    ...counts,
    skipped: counts.matched - counts.changed,
    endings: done.changed.slice(0, MOST_IDS),
    more: done.isMore,
    dryRun,
  }
}

function checked(change: ManyChange, filter: EndingFilter): EndingFilter {
  if (filter.state !== undefined && filter.state !== STATE[change])
    throw invalid('/filter/state', `must be ${STATE[change]}, or absent: nothing else can be changed so`)
  return filter
}

function ownOnly({ caller }: FastifyRequest, filter: EndingFilter): EndingFilter {
  if (caller.operator) return filter
  if (filter.requestedBy !== undefined && filter.requestedBy !== caller.name)
    throw new Problem('forbidden', "only an operator may change another caller's endings")
  return { ...filter, requestedBy: caller.name }
}
