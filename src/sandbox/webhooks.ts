import { randomUUID } from 'node:crypto'

/** Those of the vendor's events that the sandbox can make happen. */
export const EVENT_NAMES = [
  'session_started',
  'session_ended',
  'participant_joined',
  'participant_left',
  'room_deleted',
] as const

export type EventName = (typeof EVENT_NAMES)[number]

export interface WebhookFields {
  endpoint: string
  events: EventName[]
  name?: string | null
  authorizationHeader?: string | null
}

export interface Webhook extends Required<WebhookFields> {
  readonly id: string
  /** Epoch ms. */
  readonly createdAt: number
  /** Epoch ms. */
  updatedAt: number
}

/** The endpoints that a customer has registered. */
export class Webhooks {
  readonly #now: () => number
  readonly #webhooks = new Map<string, Webhook>()

  constructor(now: () => number) {
    this.#now = now
  }

  all(): Webhook[] {
    return [...this.#webhooks.values()]
  }

  get(id: string): Webhook | undefined {
    return this.#webhooks.get(id)
  }

  create(fields: WebhookFields): Webhook {
    const now = this.#now()
    const webhook: Webhook = {
      id: randomUUID(),
      endpoint: fields.endpoint,
      events: fields.events,
      name: fields.name ?? null,
      authorizationHeader: fields.authorizationHeader ?? null,
      createdAt: now,
      updatedAt: now,
    }
    this.#webhooks.set(webhook.id, webhook)
    return webhook
  }

  update(webhook: Webhook, fields: Partial<WebhookFields>): Webhook {
    return Object.assign(webhook, fields, { updatedAt: this.#now() })
  }

  delete(id: string): boolean {
    return this.#webhooks.delete(id)
  }
}
