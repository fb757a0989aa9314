import http from 'node:http'
import https from 'node:https'
import { setImmediate as turnOver } from 'node:timers/promises'
import got from 'got'
import type { Clock } from '../clock.ts'
import type { Happening } from './entities.ts'
import type { WebhookSettings } from './settings.ts'
import type { EventName, Webhook, Webhooks } from './webhooks.ts'
import type { World } from './world.ts'

const DELIVERY_TIMEOUT_MS = 5_000

// A connection kept open could be closed by the receiver just as it is used again, and nothing is ever retried here.
const agent = { http: new http.Agent({ keepAlive: false }), https: new https.Agent({ keepAlive: false }) }

export interface DeliveryParts {
  world: World
  webhooks: Webhooks
  settings: WebhookSettings
  clock: Clock
  closing: AbortSignal
}

/** Tells registered endpoints what happened: once, unsigned and without a retry, as documented. */
export class WebhookDelivery {
  readonly #parts: DeliveryParts
  #batch: Happening[] = []
  readonly #underWay = new Set<Promise<void>>()
  #previous: Promise<void> = Promise.resolve()

  constructor(parts: DeliveryParts) {
    this.#parts = parts
    parts.world.onHappening((happening) => this.#take(happening))
  }

  /** Resolves when nothing is waiting or under way any more. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  #take(happening: Happening): void {
    const { settings, webhooks } = this.#parts
    if (settings.drop || !webhooks.all().some((webhook) => isAbout(webhook, happening))) return
    this.#batch.push(happening)
    if (this.#batch.length === 1) this.#track(this.#flush())
  }

  /** What happens within one turn goes out together, so that it can be shuffled. */
  async #flush(): Promise<void> {
    await turnOver()
    const batch = this.#batch
    this.#batch = []
    // Reversed rather than random: a shuffle that may leave things in order would test nothing now and then.
    if (this.#parts.settings.shuffle) batch.reverse()
    const after = this.#previous
    this.#previous = this.#deliverBatch(batch, after)
    await this.#previous
  }

  /** One batch after the other: out of order only where that was asked for. */
  async #deliverBatch(batch: Happening[], after: Promise<void>): Promise<void> {
    const { clock, settings, closing, webhooks } = this.#parts
    if (settings.delayMs > 0) await clock.sleep(settings.delayMs, closing)
    await after
    for (const happening of batch) {
      const interested = webhooks.all().filter((webhook) => isAbout(webhook, happening))
      await Promise.all(interested.map((webhook) => this.#deliver(webhook, happening)))
    }
  }

  async #deliver(webhook: Webhook, happening: Happening): Promise<void> {
    const { settings, closing } = this.#parts
    const json = settings.newerNames ? newerBody(happening) : documentedBody(happening)
    for (let left = settings.repeat; left >= 0 && !closing.aborted; left--) {
      const request = got.post(webhook.endpoint, {
        json,
        headers: authorization(webhook, settings),
        agent,
        signal: closing,
        retry: { limit: 0 },
        followRedirect: false,
        throwHttpErrors: false,
        timeout: { request: DELIVERY_TIMEOUT_MS },
      })
      // Whoever is not there has missed it.
      await request.catch(() => undefined)
    }
  }

  #track(work: Promise<void>): void {
    this.#underWay.add(work)
    void work.finally(() => this.#underWay.delete(work))
  }
}

function isAbout(webhook: Webhook, happening: Happening): boolean {
  return webhook.events.includes(happening.event as EventName)
}

function authorization(
  { authorizationHeader }: Webhook,
  { verbatim }: WebhookSettings,
): Record<string, string> {
  if (authorizationHeader === null) return {}
  return { authorization: verbatim ? authorizationHeader : `Bearer ${authorizationHeader}` }
}

function documentedBody(happening: Happening): Record<string, unknown> {
  return {
    eventType: happening.event,
    ...('session' in happening ? { sessionId: happening.session.id } : {}),
    roomId: happening.room.id,
    ...timestampAndData(happening),
  }
}

function newerBody(happening: Happening): Record<string, unknown> {
  return {
    event: happening.event,
    ...('session' in happening ? { session_id: happening.session.id } : {}),
    room_id: happening.room.id,
    ...timestampAndData(happening),
  }
}

function timestampAndData(happening: Happening): Record<string, unknown> {
  const data =
    'participant' in happening
      ? { participantId: happening.participant.id, name: happening.participant.name, role: 'moderator' }
      : {}
  return { timestamp: Math.floor(happening.at / 1000), data }
}
