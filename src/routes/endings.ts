import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { invalid, Problem } from '../problem.ts'
import type { Move } from '../storage/endings/endings.ts'
import type { EndingFilter } from '../storage/endings/pages.ts'
import type { Answer } from '../storage/ledger.ts'
import type { EndingRow } from '../storage/schema.ts'
import { parseTime } from '../time.ts'
import { MINUTE_MS } from '../time-limits/rules.ts'
import { accept, dueTime, logStored } from './accept.ts'
import { besides } from './besides.ts'
import { detailed } from './ending-details.ts'
import { endingView, inForceView } from './ending-view.ts'
import { idempotentRequest } from './headers.ts'
import { lookUp, seenRow } from './look-up.ts'
import { endingOf, notPending } from './obstacles.ts'
import {
  EndingParams,
  EndingRequest,
  EndRequest,
  endingAnswer,
  LIMIT,
  ListQuery,
  listAnswer,
  MoveRequest,
  Nothing,
  RoomParams,
  SessionEndRequest,
  SessionParams,
} from './schemas.ts'

// Moving is what was asked for; nobody waits long for what else there is to say.
const LOOK_UP_MS = 1000

/** Everything a caller does with endings. */
export const endings: FastifyPluginAsyncTypebox = async (app) => {
  const { ledger } = app
  app.addHook('onRequest', app.authenticate)

  app.route({
    method: 'POST',
    url: '/v1/sessions/:sessionId/end',
    schema: { params: SessionParams, querystring: Nothing, body: SessionEndRequest, response: endingAnswer },
    preValidation: absentIsEmpty,
    handler: (request, reply) => accept(request, reply, { session: request.params.sessionId }, request.body),
  })

  app.route({
    method: 'POST',
    url: '/v1/rooms/:room/end',
    schema: { params: RoomParams, querystring: Nothing, body: EndRequest, response: endingAnswer },
    preValidation: absentIsEmpty,
    handler: (request, reply) => accept(request, reply, { room: request.params.room }, request.body),
  })

  app.route({
    method: 'POST',
    url: '/v1/endings',
    schema: { querystring: Nothing, body: EndingRequest, response: endingAnswer },
    handler: (request, reply) => accept(request, reply, request.body.target, request.body),
  })

  app.route({
    method: 'GET',
    url: '/v1/endings',
    schema: { querystring: ListQuery, response: listAnswer },
    handler: async ({ query }) => {
      const limit = Number(query.limit ?? LIMIT.byDefault)
      const { endings, next } = await ledger.page(filterOf(query), limit)
      return { data: endings.map(endingView), nextCursor: next ?? null }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/endings/:id',
    schema: { params: EndingParams, querystring: Nothing, response: endingAnswer },
    handler: async ({ params }) => {
      const ending = await ledger.find(params.id)
      if (!ending) throw new Problem('not-found', 'there is no ending with this id')
      return detailed(app, ending)
    },
  })

  app.route({
    method: 'PATCH',
    url: '/v1/endings/:id',
    schema: { params: EndingParams, querystring: Nothing, body: MoveRequest, response: endingAnswer },
    handler: async (request, reply) => {
      const to = moveOf(request.body, ledger.clock.now())
      const move = ledger.move(request.params.id, request.caller, to, idempotentRequest(request))
      const moved = await changed(request, reply, 'ending.moved', move)
      const first = await besides(request, () => inForce(request, moved))
      return { ...endingView(moved), inForce: inForceView(first) }
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/endings/:id/cancel',
    schema: { params: EndingParams, querystring: Nothing, body: Nothing, response: endingAnswer },
    preValidation: absentIsEmpty,
    handler: async (request, reply) => {
      const cancel = ledger.cancel(request.params.id, request.caller, idempotentRequest(request))
      return endingView(await changed(request, reply, 'ending.cancelled', cancel))
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/endings/:id/retry',
    schema: { params: EndingParams, querystring: Nothing, body: Nothing, response: endingAnswer },
    preValidation: absentIsEmpty,
    handler: async (request, reply) => {
      const retry = ledger.retry(request.params.id, request.caller, idempotentRequest(request))
      return endingView(await changed(request, reply, 'ending.retried', retry))
    },
  })
}

/** To a time, or by so many minutes: one of the two. */
function moveOf({ dueAt, extendMinutes }: MoveRequest, now: number): Move {
  if (dueAt !== undefined && extendMinutes === undefined) return dueTime(dueAt, now)
  if (dueAt === undefined && extendMinutes !== undefined) return { extendMs: extendMinutes * MINUTE_MS }
  const detail =
    dueAt === undefined
      ? 'is required: a time as in RFC 3339, or extendMinutes in its place'
      : 'must not stand beside extendMinutes: one of them'
  throw invalid('/dueAt', detail)
}

/** What is in force for the session of an ending; a session that no sweep had to find is looked up for it. */
async function inForce(request: FastifyRequest, ending: EndingRow): Promise<EndingRow | undefined> {
  const { limits } = request.server
  const isUnknown = ending.target_kind === 'session' && !(await limits.knownSession(ending.target_id))
  const seen = isUnknown ? await lookUp(request, ending.target_id, LOOK_UP_MS) : undefined
  return limits.inForce(ending, seen && 'live' in seen ? seenRow(seen) : undefined)
}

/** No body at all is fine where every field is optional; Fastify would check it as if it were null. */
async function absentIsEmpty(request: FastifyRequest): Promise<void> {
  if (request.body === undefined) request.body = {}
}

/** The ending as the transaction has left it: nothing that could fail is read afterwards. */
async function changed(
  request: FastifyRequest<{ Params: { id: string } }>,
  reply: FastifyReply,
  event: string,
  change: Promise<Answer>,
): Promise<EndingRow> {
  const answer = await change
  if ('obstacle' in answer && answer.obstacle === 'not-pending') {
    const { ledger } = request.server
    throw notPending(await ledger.find(request.params.id))
  }
  const { ending, replayed, takenBack = [] } = endingOf(answer)
  if (replayed) reply.header('idempotency-replayed', 'true')
  else logStored(request, ending, event)
  for (const other of takenBack) logStored(request, other, 'ending.cancelled')
  return ending
}

function filterOf({ limit: _, cursor, dueBefore, dueAfter, ...same }: ListQuery): EndingFilter {
  return {
    ...same,
    ...(cursor === undefined ? {} : { before: cursor }),
    ...(dueBefore === undefined ? {} : { dueBefore: parseTime(dueBefore) as number }),
    ...(dueAfter === undefined ? {} : { dueAfter: parseTime(dueAfter) as number }),
  }
}
