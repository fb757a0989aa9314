import { timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Caller } from '../caller.ts'
import { type ApiKey, digestOf, type EventSecret, RESERVED } from '../config/keys.ts'
import { Problem } from '../problem.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; set on every route within `authenticated`. */
    caller: Caller
  }
  interface FastifyInstance {
    /** The names of all who may ask for endings, and of Curfew itself. */
    callers: ReadonlySet<string>
    /** An onRequest hook: whoever gets past it is known. */
    authenticate: (request: FastifyRequest) => Promise<void>
  }
}

const READING = new Set(['GET', 'HEAD'])

export default fp<{ keys: ApiKey[]; eventSecrets: EventSecret[] }>(async function auth(
  app,
  { keys, eventSecrets },
) {
  app.decorate('callers', new Set([...keys, ...eventSecrets].map(({ name }) => name).concat(RESERVED)))
  // Fastify wants the property declared, and no object shared by all requests: there is no caller before the hook.
  app.decorateRequest('caller', null as never)
  app.decorate('authenticate', async (request: FastifyRequest) => {
    const token = /^Bearer +([A-Za-z0-9_-]+)$/i.exec(request.headers.authorization ?? '')?.[1]
    const key = token === undefined ? undefined : recognise(request, digestOf(token))
    if (!key) throw await app.bounds.failed(request, unauthorized(token === undefined))
    app.bounds.proved(request, key.digest)
    request.caller = key
    await app.bounds.count(request)
    if (key.readOnly && !READING.has(request.method))
      throw new Problem('forbidden', `the key of ${key.name} may only read: it stands in READ_KEYS`)
  })

  function recognise(request: FastifyRequest, digest: Buffer): ApiKey | undefined {
    app.bounds.mayTry(request, (proof) => proof !== 'signature' && timingSafeEqual(proof, digest))
    return keyWith(keys, digest)
  }
})

/** Compares with every key, so that the time taken says nothing about which one came near. */
function keyWith(keys: ApiKey[], digest: Buffer): ApiKey | undefined {
  let found: ApiKey | undefined
  for (const key of keys) if (timingSafeEqual(key.digest, digest)) found = key
  return found
}

function unauthorized(missing: boolean): Problem {
  const challenge = missing ? 'Bearer realm="curfew"' : 'Bearer realm="curfew", error="invalid_token"'
  const detail = missing ? 'the header Authorization must be "Bearer KEY"' : 'this key is not known'
  return new Problem('unauthorized', detail, { headers: { 'www-authenticate': challenge } })
}
