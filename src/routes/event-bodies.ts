import type { FastifyInstance, FastifyRequest } from 'fastify'
import { invalid, Problem } from '../problem.ts'

const STRUCTURED = 'application/cloudevents+json'
const BATCHED = 'application/cloudevents-batch+json'
export const EVENT_TYPES = `${STRUCTURED}, ${BATCHED} or application/json`
export const LARGEST_BODY = 1024 * 1024
const MOST_EVENTS = 1000

/**
 * Bodies stay as the bytes that came until it is known who sent them: those are what is signed. In binary mode the
 * data may be of any JSON type.
 */
export function keepBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  const keep = (_: unknown, body: unknown, done: (error: null, body: unknown) => void) => done(null, body)
  app.addContentTypeParser([STRUCTURED, BATCHED, 'application/json'], { parseAs: 'buffer' }, keep)
  app.addContentTypeParser(/^application\/[\w.-]+\+json(;|$)/, { parseAs: 'buffer' }, keep)
}

/** Whether the event's attributes are in headers and the body is its data. */
export function isBinary({ headers }: FastifyRequest): boolean {
  return (
    !contentType(headers['content-type']).startsWith('application/cloudevents') && 'ce-specversion' in headers
  )
}

function contentType(header: string | undefined): string {
  return (header ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

/** The events of a request as they came, whichever of the four forms it has. */
export async function readEvents(request: FastifyRequest): Promise<unknown[]> {
  if (isBinary(request)) return [await readBinary(request)]
  const type = contentType(request.headers['content-type'])
  if (![STRUCTURED, BATCHED, 'application/json'].includes(type))
    throw new Problem('unsupported-media-type', `the content type must be ${EVENT_TYPES}`)
  const body = await parse(request)
  if (type !== BATCHED) return [body]
  if (!Array.isArray(body)) throw invalid('', 'must be a list of CloudEvents')
  if (body.length > MOST_EVENTS) throw invalid('', `must hold at most ${MOST_EVENTS} events`)
  return body
}

async function readBinary(request: FastifyRequest): Promise<Record<string, unknown>> {
  const attributes = Object.entries(request.headers).filter(([name]) => name.startsWith('ce-'))
  // Built from entries, so that one named __proto__ is an attribute like others, and refused like them.
  const event: Record<string, unknown> = Object.fromEntries(
    attributes.map(([name, value]) => [name.slice(3), decoded(name, String(value))]),
  )
  const { 'content-type': datacontenttype } = request.headers
  if (datacontenttype !== undefined) event.datacontenttype = datacontenttype
  if (request.body !== undefined) event.data = await parse(request)
  return event
}

// The HTTP binding percent-encodes what a header cannot hold.
function decoded(name: string, value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    throw invalid(`/0/${name.slice(3)}`, 'must be percent-encoded UTF-8')
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Bytes that are no UTF-8 would be replaced, and two ids that differ become the same. */
function textOf(body: unknown): string {
  try {
    return Buffer.isBuffer(body) ? utf8.decode(body) : ''
  } catch {
    throw new Problem('bad-request', 'the body must be UTF-8')
  }
}

/** With Fastify's own parser, which refuses what would poison a prototype. */
function parse(request: FastifyRequest): Promise<unknown> {
  const text = textOf(request.body)
  const parser = request.server.getDefaultJsonParser('error', 'error')
  return new Promise((resolve, reject) => {
    parser(request, text, (error, body) => (error ? reject(error) : resolve(body)))
  })
}
