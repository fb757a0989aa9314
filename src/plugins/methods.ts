import type { RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../problem.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** To be called when all routes are known: whatever else is asked of their paths is a 405 that says what goes. */
    refuseOtherMethods: () => void
  }
}

/** Fastify answers a wrong method like an unknown path, which sends people looking for a typing error. */
export default fp(async function methods(app) {
  const known = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }: RouteOptions) => {
    const allowed = known.get(url) ?? new Set()
    for (const name of [method].flat()) allowed.add(name)
    known.set(url, allowed)
  })
  app.decorate('refuseOtherMethods', () => {
    for (const [url, allowed] of [...known]) {
      const method = app.supportedMethods.filter((name) => !allowed.has(name))
      const allow = [...allowed].sort().join(', ')
      const refuse = async () => {
        throw new Problem('method-not-allowed', `allowed here: ${allow}`, { headers: { allow } })
      }
      const config = { isHidden: true }
      app.route({ method, url, config, onRequest: refuse, handler: refuse, exposeHeadRoute: false })
    }
  })
})
