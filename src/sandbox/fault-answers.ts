import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { type Answer, send } from './answers.ts'
import type { Fault } from './faults.ts'

const HUGE_CHUNKS = 20
const HUGE_CHUNK = 'x'.repeat(1024 * 1024)
const PROXY_PAGE = '<!doctype html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>'
const JSON_TYPE = { 'content-type': 'application/json' }
const HTML_TYPE = { 'content-type': 'text/html; charset=utf-8' }

const USUAL_BODIES: Record<number, unknown> = {
  401: { message: 'Unauthenticated.', error: 'unauthenticated' },
  403: { message: 'This action is unauthorized.', error: 'forbidden' },
  404: { message: 'Not Found', error: 'not-found' },
  409: { message: 'session already ended' },
  422: { message: 'This is not possible in the current state.' },
  429: { message: 'Too Many Attempts.', error: 'rate-limit' },
}

/** The status that the caller gets to see: 0 where the connection breaks before any. */
export function faultStatus(fault: Fault, real: Answer | undefined): number {
  switch (fault.kind) {
    case 'reset':
    case 'hang':
      return 0
    case 'status':
      return fault.status ?? 500
    case 'html':
      return fault.status ?? 502
    case 'redirect':
      return fault.status ?? 302
    case 'delay':
      return fault.status ?? real?.status ?? 200
    default:
      return fault.status ?? 200
  }
}

/** `real` is what the operation answered, if it was carried out. */
export function sendFault(reply: FastifyReply, fault: Fault, real: Answer | undefined): FastifyReply {
  const status = faultStatus(fault, real)
  const headers = fault.headers ?? {}
  switch (fault.kind) {
    case 'reset':
      reply.hijack()
      reply.raw.socket?.resetAndDestroy()
      return reply
    case 'hang':
      return reply.hijack()
    case 'truncate':
      return truncate(reply, status, headers, fault.body ?? real?.body ?? { message: 'OK' })
    case 'html':
      return send(reply, { status, body: fault.body ?? PROXY_PAGE, headers: { ...HTML_TYPE, ...headers } })
    case 'redirect':
      return send(reply, { status, headers: { location: '/login', ...headers } })
    case 'huge':
      return reply
        .code(status)
        .headers({ ...JSON_TYPE, ...headers })
        .send(Readable.from(hugeJson()))
    case 'not-json':
      return send(reply, { status, body: '{"data": [', headers: { ...JSON_TYPE, ...headers } })
    default:
      return send(reply, { status, body: fault.body ?? usualBody(fault, real, status), headers })
  }
}

function usualBody(fault: Fault, real: Answer | undefined, status: number): unknown {
  if (fault.kind === 'delay' && fault.status === undefined) return real?.body
  return USUAL_BODIES[status] ?? (status >= 500 ? { message: 'Server Error' } : undefined)
}

function truncate(
  reply: FastifyReply,
  status: number,
  headers: Record<string, string>,
  body: unknown,
): FastifyReply {
  const text = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const { raw } = reply.hijack()
  const date = String(reply.getHeader('date'))
  raw.writeHead(status, { date, ...JSON_TYPE, ...headers, 'content-length': text.length })
  // Only once half is on its way: destroying at once would drop the headers too.
  raw.write(text.subarray(0, Math.floor(text.length / 2)), () => raw.destroy())
  return reply
}

function* hugeJson(): Generator<string> {
  yield '{"data":[],"filler":"'
  for (let i = 0; i < HUGE_CHUNKS; i++) yield HUGE_CHUNK
  yield '"}'
}
