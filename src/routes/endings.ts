import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Ending } from '../ending.ts'
import { Problem } from '../problem.ts'
import type { EndingFilter } from '../storage/endings.ts'
import type { Answer } from '../storage/ledger.ts'
import { parseTime } from '../time.ts'
import { accept, dueTime, logStored } from './accept.ts'
import { attemptView, endingView } from './ending-view.ts'
import { idempotentRequest } from './headers.ts'
import { endingOf } from './obstacles.ts'
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
  SessionParams,
} from './schemas.ts'

/** Everything a caller does with endings. */
export const endings: FastifyPluginAsyncTypebox = async (app) => {
  const { ledger } = app
  app.addHook('onRequest', app.authenticate)

  app.route({
    method: 'POST',
    url: '/v1/sessions/:sessionId/end',
    schema: { params: SessionParams, querystring: Nothing, body: EndRequest, response: endingAnswer },
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
      // One more than asked for tells whether there is a next page.
      const rows = await ledger.list(filterOf(query), limit + 1)
      const more = rows.length > limit ? rows[limit - 1] : undefined
      return { data: rows.slice(0, limit).map(endingView), nextCursor: more?.id ?? null }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/endings/:id',
    schema: { params: EndingParams, querystring: Nothing, response: endingAnswer },
    handler: async ({ params }) => {
      const ending = await ledger.find(params.id)
      if (!ending) throw new Problem('not-found', 'there is no ending with this id')
      return { ...endingView(ending), attempts: (await ledger.attempts(ending.id)).map(attemptView) }
    },
  })

  app.route({
    method: 'PATCH',
    url: '/v1/endings/:id',
    schema: { params: EndingParams, querystring: Nothing, body: MoveRequest, response: endingAnswer },
    handler: (request, reply) => {
      const dueAt = dueTime(request.body.dueAt, ledger.clock.now())
      const { id } = request.params
      return changed(
        request,
        reply,
        'ending.moved',
        ledger.move(id, request.caller, dueAt, idempotentRequest(request)),
      )
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/endings/:id/cancel',
    schema: { params: EndingParams, querystring: Nothing, body: Nothing, response: endingAnswer },
    preValidation: absentIsEmpty,
    handler: (request, reply) => {
      const { id } = request.params
      return changed(
        request,
        reply,
        'ending.cancelled',
        ledger.cancel(id, request.caller, idempotentRequest(request)),
      )
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/endings/:id/retry',
    schema: { params: EndingParams, querystring: Nothing, body: Nothing, response: endingAnswer },
    preValidation: absentIsEmpty,
    handler: (request, reply) => {
      const { id } = request.params
      return changed(
        request,
        reply,
        'ending.retried',
        ledger.retry(id, request.caller, idempotentRequest(request)),
      )
    },
  })
}

/** No body at all is fine where every field is optional; Fastify would check it as if it were null. */
async function absentIsEmpty(request: FastifyRequest): Promise<void> {
  if (request.body === undefined) request.body = {}
}

async function changed(
  request: FastifyRequest,
  reply: FastifyReply,
  event: string,
  change: Promise<Answer>,
): Promise<Ending> {
  const { ending, replayed } = endingOf(await change)
  if (replayed) reply.header('idempotency-replayed', 'true')
  else logStored(request, ending, event)
  return endingView(ending)
}

function filterOf({ limit: _, cursor, dueBefore, dueAfter, ...same }: ListQuery): EndingFilter {
  return {
    ...same,
    ...(cursor === undefined ? {} : { before: cursor }),
    ...(dueBefore === undefined ? {} : { dueBefore: parseTime(dueBefore) as number }),
    ...(dueAfter === undefined ? {} : { dueAfter: parseTime(dueAfter) as number }),
  }
}
