import type { FastifyInstance, FastifyReply } from 'fastify'
import { enterSchema, faultSchema, roomSchema, sessionSchema, settingsSchema } from './control-schemas.ts'
import { controlMessage, controlRoom, controlSession, controlSettings } from './control-views.ts'
import type { NewRoom, NewSession } from './entities.ts'
import type { Fault } from './faults.ts'
import { acceptAnyBody } from './json-body.ts'
import { changeSettings, type SettingsChange } from './settings.ts'
import type { State } from './state.ts'
import { WorldError } from './world-error.ts'

interface ById {
  Params: { id: string }
}

interface ByRoom {
  Params: { room: string }
  Body: { name?: string }
}

type WithTime<T, Name extends string> = Omit<T, Name> & { [name in Name]?: string }

/** What somebody who tries things out does to the sandbox: open, and not counted as a call. */
export function controlRoutes(state: State) {
  return async (app: FastifyInstance): Promise<void> => {
    acceptAnyBody(app, (error) => {
      throw Object.assign(error, { statusCode: 400 })
    })
    // A POST without a body means: all defaults.
    app.addHook('preValidation', async (request) => {
      request.body ??= {}
    })
    app.setErrorHandler(onError)
    roomControls(state, app)
    sessionControls(state, app)
    behaviourControls(state, app)
    callControls(state, app)
  }
}

function roomControls({ world }: State, app: FastifyInstance): void {
  app.post<{ Body: WithTime<NewRoom, 'expiresAt'> }>('/rooms', { schema: { body: roomSchema } }, onCreate)
  app.post<ByRoom>('/rooms/:room/enter', { schema: { body: enterSchema } }, onEnter)
  app.post<ByRoom>('/rooms/:room/leave', onLeave)

  function onCreate(request: { body: WithTime<NewRoom, 'expiresAt'> }, reply: FastifyReply) {
    const { expiresAt, ...fields } = request.body
    const room = world.createRoom({ ...fields, ...(expiresAt ? { expiresAt: Date.parse(expiresAt) } : {}) })
    return reply.code(201).send(controlRoom(room))
  }

  function onEnter(
    { params, body }: { params: ByRoom['Params']; body: ByRoom['Body'] },
    reply: FastifyReply,
  ) {
    return reply.send(controlSession(world.enter(params.room, body.name)))
  }

  function onLeave({ params }: { params: ByRoom['Params'] }, reply: FastifyReply) {
    const session = world.leave(params.room)
    return session ? reply.send(controlSession(session)) : reply.code(204).send()
  }
}

function sessionControls({ world }: State, app: FastifyInstance): void {
  app.post<{ Body: WithTime<NewSession, 'startTime'> }>(
    '/sessions',
    { schema: { body: sessionSchema } },
    onStart,
  )
  app.get('/sessions', async () => world.sessions.all().map(controlSession))
  app.get<ById>('/sessions/:id', ({ params }, reply) => reply.send(controlSession(existing(params.id))))
  app.post<ById>('/sessions/:id/end', onEnd)
  app.get('/chat', async () => world.chat.map(controlMessage))

  function onStart(request: { body: WithTime<NewSession, 'startTime'> }, reply: FastifyReply) {
    const { startTime, ...fields } = request.body
    const session = world.startSession({
      ...fields,
      ...(startTime ? { startTime: Date.parse(startTime) } : {}),
    })
    return reply.code(201).send(controlSession(session))
  }

  function onEnd({ params }: { params: ById['Params'] }, reply: FastifyReply) {
    const session = existing(params.id)
    world.end(session.id)
    return reply.send(controlSession(session))
  }

  function existing(id: string) {
    const session = world.session(id)
    if (!session) throw new WorldError('not-found', `there is no session ${id}`)
    return session
  }
}

function behaviourControls({ faults, settings }: State, app: FastifyInstance): void {
  app.post<{ Body: Omit<Fault, 'times'> & { times?: number | 'always' } }>(
    '/faults',
    { schema: { body: faultSchema } },
    ({ body: { times = 1, ...fault } }, reply) => {
      faults.inject({ ...fault, times: times === 'always' ? Number.POSITIVE_INFINITY : times })
      return reply.code(204).send()
    },
  )
  app.delete('/faults', (_request, reply) => {
    faults.clear()
    return reply.code(204).send()
  })
  app.post<{ Body: SettingsChange }>('/settings', { schema: { body: settingsSchema } }, ({ body }, reply) => {
    changeSettings(settings, body)
    return reply.send(controlSettings(settings))
  })
}

function callControls({ calls }: State, app: FastifyInstance): void {
  app.get('/calls', async () => calls.calls)
  app.delete('/calls', (_request, reply) => {
    calls.clear()
    return reply.code(204).send()
  })
}

function onError(
  error: Error & { statusCode?: number },
  _request: unknown,
  reply: FastifyReply,
): FastifyReply {
  const status =
    error instanceof WorldError ? (error.code === 'taken' ? 409 : 404) : (error.statusCode ?? 500)
  return reply.code(status).send({ message: error.message })
}
