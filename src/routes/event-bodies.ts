import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Outline, outline, pointerStep } from '../json.ts'
import { invalid, Problem } from '../problem.ts'
import { Line, Turns } from '../turns.ts'
import { readBody } from './body-reader.ts'
import { UNPROVED_WITHIN_MS, UnprovedBodies } from './unproved.ts'

const STRUCTURED = 'application/cloudevents+json'
const BATCHED = 'application/cloudevents-batch+json'
export const EVENT_TYPES = `${STRUCTURED}, ${BATCHED} or application/json`
export const LARGEST_BODY = 1024 * 1024
const MOST_EVENTS = 1000
// In one event. Several times what the largest has; and parsing many more takes more than 20 ms.
const MOST_VALUES = 50_000
const BYTES_A_TURN = 64 * 1024

/**
 * Bodies stay as the bytes that came until it is known who sent them: those are what is signed. In binary mode the
 * data may be of any JSON type.
 */
export function keepBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  const unproved = new UnprovedBodies()
  const keep = (request: FastifyRequest, payload: IncomingMessage) => {
    if (request.caller) return readBody(request, payload, LARGEST_BODY)
    const told = Number(request.headers['content-length'] ?? LARGEST_BODY)
    return unproved.within(Math.min(told, LARGEST_BODY), () =>
      readBody(request, payload, LARGEST_BODY, UNPROVED_WITHIN_MS),
    )
  }
  app.addContentTypeParser([STRUCTURED, BATCHED, 'application/json'], keep)
  app.addContentTypeParser(/^application\/[\w.-]+\+json(;|$)/, keep)
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
  return type === BATCHED ? parseBatch(request) : [await parse(request, '/0')]
}

async function readBinary(request: FastifyRequest): Promise<Record<string, unknown>> {
  const attributes = Object.entries(request.headers).filter(([name]) => name.startsWith('ce-'))
  // Built from entries, so that one named __proto__ is an attribute like others, and refused like them.
  const event: Record<string, unknown> = Object.fromEntries(
    attributes.map(([name, value]) => [name.slice(3), decoded(name, String(value))]),
  )
  const { 'content-type': datacontenttype } = request.headers
  if (datacontenttype !== undefined) event.datacontenttype = datacontenttype
  if (request.body !== undefined) event.data = await parse(request, '/0/data')
  return event
}

// The HTTP binding percent-encodes what a header cannot hold.
function decoded(name: string, value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    throw invalid(`/0${pointerStep(name.slice(3))}`, 'must be percent-encoded UTF-8')
  }
}

/** Each event by itself, with a turn for others now and then: a megabyte at once takes longer than anybody should wait. */
async function parseBatch(request: FastifyRequest): Promise<unknown[]> {
  const bytes = bytesOf(request)
  const { elements, values } = await outlined(bytes)
  if (!elements) {
    await parseText(request, bytes, values, '')
    throw invalid('', 'must be a list of CloudEvents')
  }
  if (elements.length > MOST_EVENTS) throw invalid('', `must hold at most ${MOST_EVENTS} events`)
  const turns = new Turns(BYTES_A_TURN)
  const events: unknown[] = []
  for (const { from, to, values } of elements) {
    events.push(await parseText(request, bytes.subarray(from, to), values, `/${events.length}`))
    await turns.spend(to - from)
  }
  return events
}

async function parse(request: FastifyRequest, place: string): Promise<unknown> {
  const bytes = bytesOf(request)
  const { values } = await outlined(bytes, place)
  return parseText(request, bytes, values, place)
}

// A megabyte takes some 10 ms, and twenty may arrive at once.
const large = new Line()

async function outlined(bytes: Buffer, place = ''): Promise<Outline> {
  if (bytes.length > BYTES_A_TURN) await large.next()
  return outline(bytes, place)
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Bytes that are no UTF-8 would be replaced, and two ids that differ become the same. */
function textOf(bytes: Buffer): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new Problem('bad-request', 'the body must be UTF-8')
  }
}

/** With Fastify's own parser, which refuses what would poison a prototype. */
async function parseText(
  request: FastifyRequest,
  bytes: Buffer,
  values: number,
  place: string,
): Promise<unknown> {
  if (values > MOST_VALUES) throw invalid(place, `must hold at most ${MOST_VALUES} values`)
  const text = textOf(bytes)
  const parser = request.server.getDefaultJsonParser('error', 'error')
  return new Promise((resolve, reject) => {
    parser(request, text, (error, body) => (error ? reject(error) : resolve(body)))
  })
}

function bytesOf({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0)
}
