import type { FastifySchema, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'

/** A route as it was registered, for whoever describes it. */
export interface ListedRoute {
  method: string
  url: string
  schema: FastifySchema
}

declare module 'fastify' {
  interface FastifyInstance {
    /** every route but those that only refuse, in the order of their registration */
    routeList: readonly ListedRoute[]
  }
}

/** Keeps the routes in mind: Fastify forgets their schemas once they are compiled. */
export default fp(async function routeList(app) {
  const routes: ListedRoute[] = []
  app.decorate('routeList', routes)
  app.addHook('onRoute', ({ method, url, schema = {}, config }: RouteOptions) => {
    if (config?.isHidden) return
    for (const name of [method].flat()) if (name !== 'HEAD') routes.push({ method: name, url, schema })
  })
})

declare module 'fastify' {
  interface FastifyContextConfig {
    /** not a route that anybody calls: it refuses, or serves a part of a page */
    isHidden?: boolean
  }
}
