import { hash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { Caller } from '../caller.ts'
import { pathOf } from '../plugins/errors.ts'
import { invalid } from '../problem.ts'
import type { IdempotentRequest } from '../storage/endings/idempotency.ts'
import { newTraceparent } from '../traceparent.ts'

const LONGEST_WAIT_SECONDS = 30

/** The request as its Idempotency-Key names it, or undefined where it has none. */
export function idempotentRequest(request: FastifyRequest): IdempotentRequest | undefined {
  const key = request.headers['idempotency-key']
  if (key === undefined) return undefined
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key))
    throw invalid(
      '/headers/idempotency-key',
      'must be 1 to 255 printable ASCII characters without a space, once',
    )
  const what = `${request.method} ${pathOf(request)} ${JSON.stringify(request.body ?? {})}`
  return { caller: request.caller.name, key, fingerprint: hash('sha256', what) }
}

/**
 * How long (seconds) the caller would like to wait for the end, from `Prefer: wait=10`; 0 where it would not. A
 * preference is no demand (RFC 7240): what is not understood is ignored, and more than 30 counts as 30.
 */
export function preferredWait(request: FastifyRequest): number {
  const prefer = [request.headers.prefer ?? []].flat().join(',')
  const seconds = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])/i.exec(prefer)?.[1]
  return Math.min(Number(seconds ?? 0), LONGEST_WAIT_SECONDS)
}

/** The trace that whatever the request asks for belongs to: its own, or where it came with none a new one. */
export function traceFor(request: FastifyRequest): string {
  request.traceparent ??= newTraceparent()
  return request.traceparent
}

/** Who asks, and in which trace. */
export function callerOf(request: FastifyRequest): Caller {
  const { name, operator } = request.caller
  return { name, operator, traceparent: traceFor(request) }
}
