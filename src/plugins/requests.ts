import { randomUUID } from 'node:crypto'
import helmet from '@fastify/helmet'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Caller } from '../caller.ts'
import { Problem } from '../problem.ts'
import { readTraceparent } from '../traceparent.ts'
import { notFound, pathOf } from './errors.ts'

const LONGEST_PATH = 2048
// What protects an answer that is JSON and is read by programs; the others are about pages, and cost as much each time
// as checking the request.
const SAFE_HEADERS = {
  contentSecurityPolicy: false,
  crossOriginOpenerPolicy: false,
  crossOriginResourcePolicy: false,
  originAgentCluster: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
  referrerPolicy: false,
  xFrameOptions: { action: 'deny' },
} as const

/** The caller's own id where it sent a sane one, so that its logs and ours can be laid side by side. */
export function requestId({ headers }: { headers: Record<string, unknown> }): string {
  const theirs = headers['x-request-id']
  return typeof theirs === 'string' && /^[A-Za-z0-9._:-]{1,128}$/.test(theirs) ? theirs : randomUUID()
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The W3C trace context that it came with, or that was made for what it asks for; undefined where it needs none. */
    traceparent: string | undefined
  }
}

/** What holds for every request: its id on the answer, safe headers, a bounded path, a line in the log. */
export default fp(async function requests(app) {
  let closing = false
  app.addHook('preClose', async () => {
    closing = true
  })
  await app.register(helmet, SAFE_HEADERS)
  app.decorateRequest('traceparent', undefined)
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
    const { traceparent } = request.headers
    if (traceparent !== undefined) request.traceparent = readTraceparent(traceparent)
    if (closing)
      throw new Problem('shutting-down', 'ask again in a moment', {
        headers: { 'retry-after': '2', connection: 'close' },
      })
    if (pathOf(request).length > LONGEST_PATH)
      throw new Problem('path-too-long', 'the path must not be longer than 2 KiB')
    // Before anything is read of a body that nobody asked for.
    if (request.is404) throw notFound(request)
  })
  app.addHook('onResponse', async (request, reply) => {
    const { statusCode: status, elapsedTime } = reply
    const level = status >= 500 ? 'error' : status >= 400 ? 'info' : 'debug'
    request.log[level]({ ...about(request), status, durationMs: Math.round(elapsedTime) }, 'request.answered')
  })
})

// Without the query: somebody may have put a secret there by mistake.
function about(request: FastifyRequest) {
  const { method, caller, traceparent } = request as Pick<FastifyRequest, 'method' | 'traceparent'> & {
    caller: Caller | null
  }
  const path = pathOf(request).slice(0, 200)
  return { method, path, caller: caller?.name, ...(traceparent === undefined ? {} : { traceparent }) }
}
