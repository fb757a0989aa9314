import { timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Caller } from '../caller.ts'
import { type ApiKey, digestOf } from '../config/keys.ts'
import { Problem } from '../problem.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; set on every route within `authenticated`. */
    caller: Caller
  }
  interface FastifyInstance {
    /** An onRequest hook: whoever gets past it is known. */
    authenticate: (request: FastifyRequest) => Promise<void>
  }
}

export default fp<{ keys: ApiKey[] }>(async function auth(app, { keys }) {
  // Fastify wants the property declared, and no object shared by all requests: there is no caller before the hook.
  app.decorateRequest('caller', null as never)
  app.decorate('authenticate', async (request: FastifyRequest) => {
    const token = /^Bearer +([A-Za-z0-9_-]+)$/i.exec(request.headers.authorization ?? '')?.[1]
    const caller = token === undefined ? undefined : recognise(keys, token)
    if (!caller) throw unauthorized(token === undefined)
    request.caller = caller
  })
})

/** Compares with every key, so that the time taken says nothing about which one came near. */
function recognise(keys: ApiKey[], token: string): Caller | undefined {
  const digest = digestOf(token)
  let found: Caller | undefined
  for (const key of keys) if (timingSafeEqual(key.digest, digest)) found = key
  return found
}

function unauthorized(missing: boolean): Problem {
  const challenge = missing ? 'Bearer realm="curfew"' : 'Bearer realm="curfew", error="invalid_token"'
  const detail = missing ? 'the header Authorization must be "Bearer KEY"' : 'this key is not known'
  return new Problem('unauthorized', detail, { headers: { 'www-authenticate': challenge } })
}
