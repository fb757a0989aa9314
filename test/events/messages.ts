import { randomUUID } from 'node:crypto'
import type { LightMyRequestResponse } from 'fastify'
import { type CallerName, KEYS, type Service } from '../helper/service.ts'

export const STRUCTURED = 'application/cloudevents+json'
export const BATCHED = 'application/cloudevents-batch+json'

export type Fields = Record<string, unknown>

/** An event of a type, each with an id of its own unless `more` says otherwise. */
export function event(type: string, data: unknown, more: Fields = {}): Fields {
  return { specversion: '1.0', id: randomUUID(), source: '/shop', type, data, ...more }
}

export interface PostMore {
  as?: CallerName
  type?: string
  headers?: Record<string, string>
}

/** Posts a body as it is, or as JSON: a list batched, anything else structured. */
export function post({ app }: Pick<Service, 'app'>, body: unknown, more: PostMore = {}) {
  const { as = 'booking', type = Array.isArray(body) ? BATCHED : STRUCTURED, headers = {} } = more
  return app.inject({
    method: 'POST',
    url: '/v1/events',
    headers: { authorization: `Bearer ${KEYS[as]}`, 'content-type': type, ...headers },
    payload: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

/** Posts an event in binary mode: each attribute in a header, the data as the body; none where there is no data. */
export function postBinary({ app }: Pick<Service, 'app'>, { data, ...attributes }: Fields) {
  const headers: Record<string, string> = { authorization: `Bearer ${KEYS.booking}` }
  for (const [name, value] of Object.entries(attributes)) headers[`ce-${name}`] = String(value)
  if (data !== undefined) headers['content-type'] = 'application/json'
  const payload = data === undefined ? {} : { payload: JSON.stringify(data) }
  return app.inject({ method: 'POST', url: '/v1/events', headers, ...payload })
}

export interface EventAnswer {
  id: string
  type: string
  status: 'accepted' | 'duplicate' | 'stale' | 'ignored'
  endings: string[]
}

/** What became of each event of a request that was accepted. */
export function answersOf({ statusCode, body }: Pick<LightMyRequestResponse, 'statusCode' | 'body'>) {
  if (statusCode !== 202) throw new Error(`not accepted: ${statusCode} ${body.slice(0, 500)}`)
  return (JSON.parse(body) as { events: EventAnswer[] }).events
}

export const statusesOf = (answer: Pick<LightMyRequestResponse, 'statusCode' | 'body'>) =>
  answersOf(answer).map(({ status }) => status)
