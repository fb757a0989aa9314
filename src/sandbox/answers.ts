import type { FastifyReply } from 'fastify'

/** What an operation answers, before anything goes wrong with it. No body: empty, as text/plain. */
export interface Answer {
  status: number
  body?: unknown
  headers?: Record<string, string>
}

export type FieldErrors = Record<string, string[]>

export const empty: Answer = { status: 200 }
export const noContent: Answer = { status: 204 }

export function ok(body: unknown): Answer {
  return { status: 200, body }
}

export function notFound(): Answer {
  return { status: 404, body: { message: 'Not Found', error: 'not-found' } }
}

export function unauthenticated(): Answer {
  return { status: 401, body: { message: 'Unauthenticated.', error: 'unauthenticated' } }
}

export function invalid(errors: FieldErrors): Answer {
  return { status: 422, body: { message: 'The given data was invalid.', errors } }
}

export function alreadyEnded(status: 404 | 409 | 422): Answer {
  return status === 404 ? notFound() : { status, body: { message: 'session already ended' } }
}

/** The header is a date that fits the `Date` header of the same answer, or whole seconds, rounded up. */
export function tooManyAttempts(now: number, retryAt: number, as: 'seconds' | 'date'): Answer {
  const seconds = Math.ceil((retryAt - now) / 1000)
  return {
    status: 429,
    body: {
      message: `Too Many Attempts. You may try again in ${seconds} seconds.`,
      error: 'rate-limit',
    },
    headers: { 'retry-after': as === 'seconds' ? String(seconds) : httpDate(now + seconds * 1000) },
  }
}

export function httpDate(at: number): string {
  return new Date(at).toUTCString()
}

export function send(reply: FastifyReply, { status, body, headers = {} }: Answer): FastifyReply {
  reply.code(status)
  if (status === 204) return reply.headers(headers).send()
  const isText = body === undefined || typeof body === 'string'
  reply.type(isText ? 'text/plain' : 'application/json').headers(headers)
  return reply.send(isText ? (body ?? '') : JSON.stringify(body))
}
