import type { Credentials } from './credentials.ts'
import { MalformedAnswerError } from './errors.ts'
import type { Inquiry, Question, Told } from './inquiry.ts'

/** One of the endpoints that Digital Samba tells of what happens. */
export interface Webhook {
  id: string
  endpoint: string
  /** what it sends as `Authorization`; null where it sends none */
  authorizationHeader: string | null
  events: string[]
}

export interface WebhookFields {
  endpoint: string
  events: string[]
  authorizationHeader: string
}

const PAGE = 100
const MOST_PAGES = 5

/** A status that was not expected of a call about webhooks. */
export class WebhookCallError extends Error {
  override readonly name = 'WebhookCallError'
  readonly code = 'WEBHOOK_CALL'
  readonly status: number

  constructor(what: string, { status, json }: Told) {
    const message = (json as { message?: unknown } | null | undefined)?.message
    super(`${what} was answered ${status}${typeof message === 'string' ? `: ${message.slice(0, 200)}` : ''}`)
    this.status = status
  }
}

/** The vendor's API of webhooks. Every method rejects with a DigitalSambaError or a WebhookCallError. */
export class WebhooksApi {
  readonly #inquiry: Inquiry
  readonly #credentials: Credentials

  constructor(inquiry: Inquiry, credentials: Credentials) {
    this.#inquiry = inquiry
    this.#credentials = credentials
  }

  /** Of all there are; the list leaves the events out, so these are asked for one by one where `isWanted` holds. */
  async list(isWanted: (webhook: Webhook) => boolean): Promise<Webhook[]> {
    const found: Webhook[] = []
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const query = { limit: String(PAGE), order: 'asc', offset: String(page * PAGE) }
      const told = await this.#ask('the list of webhooks', { path: 'api/v1/webhooks', query })
      const { data } = told as { data?: unknown }
      if (!Array.isArray(data)) throw new MalformedAnswerError('answered no list of webhooks')
      found.push(...data.map(readWebhook).filter(isWanted))
      if (data.length < PAGE) break
    }
    return Promise.all(found.map(({ id }) => this.read(id)))
  }

  async read(id: string): Promise<Webhook> {
    return readWebhook(await this.#ask('the webhook', { path: `api/v1/webhooks/${encodeURIComponent(id)}` }))
  }

  async create(fields: WebhookFields): Promise<Webhook> {
    const json = { name: 'Curfew', ...written(fields) }
    return readWebhook(
      await this.#ask('making the webhook', { method: 'POST', path: 'api/v1/webhooks', json }),
    )
  }

  async update(id: string, fields: WebhookFields): Promise<Webhook> {
    const path = `api/v1/webhooks/${encodeURIComponent(id)}`
    return readWebhook(
      await this.#ask('changing the webhook', { method: 'PATCH', path, json: written(fields) }),
    )
  }

  async #ask(what: string, question: Omit<Question, 'credentials'>): Promise<unknown> {
    const told = await this.#inquiry.ask({ credentials: this.#credentials, ...question })
    if (told.status < 200 || told.status > 299) throw new WebhookCallError(what, told)
    return told.json
  }
}

function written({ endpoint, events, authorizationHeader }: WebhookFields): object {
  return { endpoint, events, authorization_header: authorizationHeader }
}

function readWebhook(told: unknown): Webhook {
  const { id, endpoint, authorization_header: header, events } = (told ?? {}) as Record<string, unknown>
  if (typeof id !== 'string' || typeof endpoint !== 'string')
    throw new MalformedAnswerError('answered a webhook without id or endpoint')
  const names = Array.isArray(events) ? events.filter((event) => typeof event === 'string') : []
  return { id, endpoint, authorizationHeader: typeof header === 'string' ? header : null, events: names }
}
