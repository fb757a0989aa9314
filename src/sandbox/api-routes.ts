import type { FastifyInstance } from 'fastify'
import { type Answer, alreadyEnded, empty, invalid, notFound, ok } from './answers.ts'
import { type AddOperation, type ApiRequest, apiCall } from './api-call.ts'
import type { Session } from './entities.ts'
import { acceptAnyBody } from './json-body.ts'
import { parsePageQuery } from './page-query.ts'
import { roomRoutes } from './room-routes.ts'
import type { SessionPage } from './session-list.ts'
import type { State } from './state.ts'
import { sessionListItem, sessionStatistics } from './views.ts'
import { webhookRoutes } from './webhook-routes.ts'

/** The vendor's API, as far as its documents have been extracted. */
export function apiRoutes(state: State) {
  return async (app: FastifyInstance): Promise<void> => {
    acceptAnyBody(app, () => undefined)
    const add: AddOperation = (method, url, operation, handle) => {
      app.route({ method, url: `/api/v1${url}`, handler: apiCall(state, operation, handle) })
    }
    sessionRoutes(state, add)
    roomRoutes(state, add)
    webhookRoutes(state, add)
    app.all('/api/*', apiCall(state, 'other', notFound))
  }
}

function sessionRoutes(state: State, add: AddOperation): void {
  add('POST', '/sessions/:session/end', 'end', onEnd)
  // The vendor's cURL sample says GET; its text and its OpenAPI description say POST.
  add('GET', '/sessions/:session/end', 'other', onEndByGet)
  add('GET', '/sessions/:session', 'session', onSession)
  add('GET', '/sessions', 'sessions', onSessions)
  add('GET', '/rooms/:room/sessions', 'room-sessions', onRoomSessions)

  function onEnd({ params }: ApiRequest): Answer {
    const result = state.world.end(params.session ?? '')
    if (result === 'unknown') return notFound()
    return result === 'ended' ? empty : alreadyEnded(state.settings.alreadyEndedStatus)
  }

  function onEndByGet(): Answer {
    const message = 'The GET method is not supported for this route. Supported methods: POST.'
    return { status: 405, body: { message }, headers: { allow: 'POST' } }
  }

  function onSession({ params }: ApiRequest): Answer {
    const session = state.world.session(params.session ?? '')
    return session ? ok(sessionStatistics(session, state.clock.now())) : notFound()
  }

  /** Here the count comes as a string, as in the vendor's examples. */
  function onSessions({ query }: ApiRequest): Answer {
    const parsed = parsePageQuery(query, (id) => state.world.session(id))
    if (parsed.errors) return invalid(parsed.errors)
    const { room_id: roomId } = query
    if (typeof roomId !== 'string' || roomId === '') {
      return listing(state.world.sessions.page(parsed.query), String)
    }
    // Unlike in a path, a friendly URL does not do here.
    const room = state.world.room(roomId)
    if (room?.id !== roomId) return listing({ total: 0, sessions: [] }, String)
    return listing(room.sessions.page(parsed.query), String)
  }

  /** Here the count comes as a number: both occur, so a client meets both. */
  function onRoomSessions({ params, query }: ApiRequest): Answer {
    const room = state.world.room(params.room ?? '')
    if (!room) return notFound()
    const parsed = parsePageQuery(query, (id) => state.world.session(id))
    if (parsed.errors) return invalid(parsed.errors)
    return listing(room.sessions.page(parsed.query), Number)
  }
}

function listing(
  { total, sessions }: SessionPage<Session>,
  count: (total: number) => string | number,
): Answer {
  return ok({ data: sessions.map(sessionListItem), total_count: count(total) })
}
