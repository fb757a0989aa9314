import type { Socket } from 'node:net'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Problem, type ProblemCode } from '../problem.ts'
import { StorageError, TooManyError } from '../storage/engine/errors.ts'

/** Every error of every kind leaves as application/problem+json. */
export default fp(async function errors(app) {
  app.setErrorHandler(sendError)
  app.setNotFoundHandler((request) => {
    throw notFound(request)
  })
})

export function notFound(request: FastifyRequest): Problem {
  return new Problem('not-found', `there is nothing at ${pathOf(request)}`)
}

export function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] as string
}

export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOf(error, request)
  // A refusal of ours says all there is to say; stacks of a flood of them would be the flood's best help.
  if (problem.status >= 500 && problem !== error) request.log.error({ err: error }, 'request.failed')
  // What is left of a body that nobody will read is not taken in either.
  if (!isReceived(request)) reply.header('connection', 'close')
  void reply
    .status(problem.status)
    .headers({ ...problem.headers, 'x-request-id': request.id })
    .type('application/problem+json')
    .serializer(JSON.stringify)
    .send(problem.document(request.id))
}

function isReceived({ raw, headers }: FastifyRequest): boolean {
  const isExpected = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  return raw.complete || !isExpected
}

// Fastify's own errors, by its codes. The details are ours: Fastify's name its internals.
const FRAMEWORK: Record<string, [ProblemCode, string]> = {
  FST_ERR_CTP_INVALID_JSON_BODY: ['bad-request', 'the body must be JSON'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['bad-request', 'the body must be as long as content-length says'],
  FST_ERR_BAD_URL: ['bad-request', 'the path must be a valid URL path'],
  FST_ERR_MAX_PARAM_LENGTH: ['path-too-long', 'the path must not be longer than 2 KiB'],
}

function problemOf(error: unknown, request: FastifyRequest): Problem {
  if (error instanceof Problem) return error
  if (error instanceof TooManyError) return new Problem('too-many', error.message)
  if (error instanceof StorageError)
    return new Problem('storage-unavailable', 'nothing can be stored or read just now; try again shortly', {
      headers: { 'retry-after': '1' },
    })
  const { code, statusCode } = error as Partial<FastifyError>
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return new Problem('unsupported-media-type', wantedType(request))
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new Problem('body-too-large', largestBody(request))
  const known = code ? FRAMEWORK[code] : undefined
  if (known) return new Problem(...known)
  if (statusCode && statusCode >= 400 && statusCode < 500)
    return new Problem('bad-request', 'the request cannot be understood')
  return new Problem('internal', 'the request was not carried out; the log has the request id')
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** what a route takes, where that is not application/json alone */
    contentTypes?: string
  }
}

function wantedType({ routeOptions }: FastifyRequest): string {
  return `the content type must be ${routeOptions.config.contentTypes ?? 'application/json'}`
}

function largestBody({ routeOptions }: FastifyRequest): string {
  return `the body must not be larger than ${(routeOptions.bodyLimit ?? 0) / 1024} KiB`
}

/** What is not even HTTP is answered before there is a request. */
export function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const code = CLIENT_ERRORS[error.code ?? ''] ?? 'bad-request'
  const problem = new Problem(code, 'the request is not HTTP as this server understands it')
  const body = JSON.stringify(problem.document('none'))
  socket.end(
    `HTTP/1.1 ${problem.status} Refused\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}

const CLIENT_ERRORS: Record<string, ProblemCode> = {
  HPE_HEADER_OVERFLOW: 'headers-too-large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
}
