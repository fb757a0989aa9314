import Fastify, { type FastifyInstance } from 'fastify'
import { httpDate } from './answers.ts'
import { apiRoutes } from './api-routes.ts'
import { controlRoutes } from './control-routes.ts'
import type { State } from './state.ts'

const LOGIN_PAGE = '<!doctype html><title>Log in</title><h1>Log in to Digital Samba</h1>'

/** The sandbox's face: the vendor's API, the page it redirects to, and the controls. */
export function createHttp(state: State): FastifyInstance {
  const app = Fastify({
    // Hanging answers would hold up a close for ever.
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 2048 },
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  })
  // Told by the sandbox's clock, so that it agrees with a retry-after that is a date.
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('date', httpDate(state.clock.now()))
  })
  app.register(apiRoutes(state))
  app.register(controlRoutes(state), { prefix: '/sandbox' })
  app.get('/login', (_request, reply) => reply.type('text/html').send(LOGIN_PAGE))
  return app
}
