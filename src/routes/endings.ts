import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { invalid, Problem } from '../problem.ts'
import type { Move } from '../storage/endings/owner-changes.ts'
import type { EndingFilter } from '../storage/endings/pages.ts'
import type { Answer } from '../storage/ledger.ts'
import type { EndingRow } from '../storage/schema.ts'
import { MINUTE_MS } from '../time-limits/rules.ts'
import { absentIsEmpty } from './absent-body.ts'
import { accept, dueTime, logStored } from './accept.ts'
import { besides } from './besides.ts'
import { detailed } from './ending-details.ts'
import { Ending } from './ending-schemas.ts'
import { endingView, inForceView, notificationLine } from './ending-view.ts'
import { callerOf, idempotentRequest } from './headers.ts'
import { lookUp, seenRow } from './look-up.ts'
import { endingOf, notPending } from './obstacles.ts'
import { DryRunQuery, isDryRun, orRehearsed, rehearsed, stores } from './rehearsal.ts'
import {
  EndingParams,
  EndingRequest,
  EndRequest,
  endingAnswer,
  endingFilter,
  LIMIT,
  ListQuery,
  listAnswer,
  MoveRequest,
  Nothing,
  RoomParams,
  SessionEndRequest,
  SessionParams,
} from './schemas.ts'

const changeAnswer = { ...endingAnswer, 200: orRehearsed(Ending) }

type Changed = Extract<Answer, { ending: unknown }>

// Moving is what was asked for; nobody waits long for what else there is to say.
const LOOK_UP_MS = 1000

/** Everything a caller does with endings. */
export const endings: FastifyPluginAsyncTypebox = async (app) => {
  const { ledger } = app
  app.addHook('onRequest', app.authenticate)

  app.route({
    method: 'POST',
    url: '/v1/sessions/:sessionId/end',
    schema: {
      params: SessionParams,
      querystring: DryRunQuery,
      body: SessionEndRequest,
      response: changeAnswer,
    },
    preValidation: absentIsEmpty,
    handler: (request, reply) => accept(request, reply, { session: request.params.sessionId }, request.body),
  })

  app.route({
    method: 'POST',
    url: '/v1/rooms/:room/end',
    schema: { params: RoomParams, querystring: DryRunQuery, body: EndRequest, response: changeAnswer },
    preValidation: absentIsEmpty,
    handler: (request, reply) => accept(request, reply, { room: request.params.room }, request.body),
  })

  app.route({
    method: 'POST',
    url: '/v1/endings',
    schema: { querystring: DryRunQuery, body: EndingRequest, response: changeAnswer },
    handler: (request, reply) => accept(request, reply, request.body.target, request.body),
  })

  app.route({
    method: 'GET',
    url: '/v1/endings',
    schema: { querystring: ListQuery, response: listAnswer },
    handler: async ({ query }) => {
      if (query.sort !== undefined) return upcoming(app, query)
      const limit = Number(query.limit ?? LIMIT.byDefault)
      const { endings, next } = await ledger.page(newest(query), limit)
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
      const [details, told] = await Promise.all([
        detailed(app, ending),
        app.notifications.ofEnding(ending.id),
      ])
      return told.length > 0 ? { ...details, notifications: told.map(notificationLine) } : details
    },
  })

  app.route({
    method: 'PATCH',
    url: '/v1/endings/:id',
    schema: { params: EndingParams, querystring: DryRunQuery, body: MoveRequest, response: changeAnswer },
    handler: async (request, reply) => {
      const to = moveOf(request.body, ledger.clock.now())
      const { id } = request.params
      const move = stores(request).ledger.move(id, callerOf(request), to, idempotentRequest(request))
      const moved = await changed(request, reply, 'ending.moved', move)
      const first = await besides(request, () => inForce(request, moved))
      return answered(request, reply, moved, { inForce: inForceView(first) })
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/endings/:id/cancel',
    schema: { params: EndingParams, querystring: DryRunQuery, body: Nothing, response: changeAnswer },
    preValidation: absentIsEmpty,
    handler: async (request, reply) => {
      const { id } = request.params
      const cancel = stores(request).ledger.cancel(id, callerOf(request), idempotentRequest(request))
      return answered(request, reply, await changed(request, reply, 'ending.cancelled', cancel))
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/endings/:id/retry',
    schema: { params: EndingParams, querystring: DryRunQuery, body: Nothing, response: changeAnswer },
    preValidation: absentIsEmpty,
    handler: async (request, reply) => {
      const { id } = request.params
      const retry = stores(request).ledger.retry(id, callerOf(request), idempotentRequest(request))
      return answered(request, reply, await changed(request, reply, 'ending.retried', retry))
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
async function inForce(
  request: FastifyRequest,
  { ending, takenBack = [] }: Changed,
): Promise<EndingRow | undefined> {
  const { limits } = request.server
  const isUnknown = ending.target_kind === 'session' && !(await limits.knownSession(ending.target_id))
  const seen = isUnknown ? await lookUp(request, ending.target_id, LOOK_UP_MS) : undefined
  const rehearsed = isDryRun(request) ? [ending, ...takenBack] : []
  return limits.inForce(ending, seen && 'live' in seen ? seenRow(seen) : undefined, rehearsed)
}

/** What is made of an ending: its view, and where that was only tried out, what it would end now. */
async function answered(
  request: FastifyRequest,
  reply: FastifyReply,
  { ending, replayed }: Changed,
  more: Partial<Ending> = {},
): Promise<Ending> {
  const answer = { ...endingView(ending), ...more }
  return isDryRun(request) ? rehearsed(request, reply, answer, replayed ? [] : [ending]) : answer
}

/** The ending as the transaction has left it: nothing that could fail is read afterwards. */
async function changed(
  request: FastifyRequest<{ Params: { id: string } }>,
  reply: FastifyReply,
  event: string,
  change: Promise<Answer>,
): Promise<Changed> {
  const answer = await change
  if ('obstacle' in answer && answer.obstacle === 'not-pending') {
    const { ledger } = request.server
    throw notPending(await ledger.find(request.params.id))
  }
  const changed = endingOf(answer)
  const { ending, replayed, takenBack = [] } = changed
  if (replayed) reply.header('idempotency-replayed', 'true')
  else logStored(request, ending, event)
  for (const other of takenBack) logStored(request, other, 'ending.cancelled')
  return changed
}

const UPCOMING = /^(\d+)\.(.+)$/

/** What is to come, the earliest first: the cursor is a place in that order. */
async function upcoming({ ledger }: FastifyInstance, { sort: _, limit, cursor, ...filter }: ListQuery) {
  if (filter.state !== undefined && filter.state !== 'pending')
    throw invalid('/state', 'must be pending, or absent, beside sort=dueAt')
  const place = cursor === undefined ? undefined : UPCOMING.exec(cursor)
  if (place === null) throw invalid('/cursor', 'must be a nextCursor of a list with sort=dueAt')
  const behind = place && { dueAt: Number(place[1]), id: place[2] as string }
  const page = await ledger.upcoming(endingFilter(filter), Number(limit ?? LIMIT.byDefault), behind)
  const { endings, next } = page
  return { data: endings.map(endingView), nextCursor: next ? `${next.dueAt}.${next.id}` : null }
}

function newest({ sort: _, limit: __, cursor, ...filter }: ListQuery): EndingFilter {
  if (cursor?.includes('.')) throw invalid('/cursor', 'must be a nextCursor of a list without sort')
  return { ...endingFilter(filter), ...(cursor === undefined ? {} : { before: cursor }) }
}
