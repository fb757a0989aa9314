import type { FastifyInstance } from 'fastify'
import type { Call } from './calls.ts'
import type { ChatMessage, NewRoom, NewSession, Room, Session } from './entities.ts'
import type { Fault } from './faults.ts'
import {
  type Credentials,
  changeSettings,
  type Settings,
  type SettingsChange,
  type WebhookSettings,
} from './settings.ts'
import type { State } from './state.ts'
import type { WebhookDelivery } from './webhook-delivery.ts'
import type { Webhook, WebhookFields } from './webhooks.ts'

export interface SandboxParts {
  url: string
  state: State
  delivery: WebhookDelivery
  http: FastifyInstance
  closing: AbortController
}

/** A running sandbox, and all that a test may do to it without going through HTTP. */
export class Sandbox {
  readonly url: string
  readonly #parts: SandboxParts

  constructor(parts: SandboxParts) {
    this.url = parts.url
    this.#parts = parts
  }

  get #state(): State {
    return this.#parts.state
  }

  /** Every session there has been, in the order of their start. */
  get sessions(): readonly Session[] {
    return this.#state.world.sessions.all()
  }

  get calls(): readonly Call[] {
    return this.#state.calls.calls
  }

  get chat(): readonly ChatMessage[] {
    return this.#state.world.chat
  }

  /** To be read; `configure` changes it. */
  get settings(): Readonly<Settings> {
    return this.#state.settings
  }

  /** May be changed in place. */
  get webhooks(): WebhookSettings {
    return this.#state.settings.webhooks
  }

  /** Throws a WorldError `taken` where the id or the friendly URL is in use. */
  createRoom(fields?: NewRoom): Room {
    return this.#state.world.createRoom(fields)
  }

  /** Throws a WorldError `not-found` for an unknown room; a room may be given several live sessions this way. */
  startSession(fields: NewSession): Session {
    return this.#state.world.startSession(fields)
  }

  /** Somebody walks in: into the live session or, where there is none, into a new one with a new id. */
  enter(room: string, name?: string): Session {
    return this.#state.world.enter(room, name)
  }

  /** Whoever came last leaves; five minutes after nobody is left, the session ends by itself. */
  leave(room: string): Session | undefined {
    return this.#state.world.leave(room)
  }

  /** As if it had ended by itself; false where it was not live. */
  endSession(id: string): boolean {
    return this.#state.world.end(id) === 'ended'
  }

  session(id: string): Session | undefined {
    return this.#state.world.session(id)
  }

  liveSessions(): Session[] {
    return [...this.#state.world.sessions.live()]
  }

  inject(fault: Fault): void {
    this.#state.faults.inject(fault)
  }

  clearFaults(): void {
    this.#state.faults.clear()
  }

  clearCalls(): void {
    this.#state.calls.clear()
  }

  /** Called once for each call: when it is answered, or when a fault begins to hold it back. */
  onCall(listener: (call: Call) => void): () => void {
    return this.#state.calls.onCall(listener)
  }

  /** Resolves as soon as there are that many calls, or the predicate holds of all calls so far. */
  waitForCalls(wanted: number | ((calls: readonly Call[]) => boolean)): Promise<void> {
    return this.#state.calls.waitFor(wanted)
  }

  setCredentials(credentials: Partial<Credentials>): void {
    this.configure({ credentials })
  }

  configure(change: SettingsChange): void {
    changeSettings(this.#state.settings, change)
  }

  createWebhook(fields: WebhookFields): Webhook {
    return this.#state.webhooks.create(fields)
  }

  /** Resolves when every webhook has been delivered or lost. */
  settled(): Promise<void> {
    return this.#parts.delivery.settled()
  }

  /** Breaks off everything: held answers, open connections, deliveries, timers. */
  async close(): Promise<void> {
    this.#parts.closing.abort()
    await this.#parts.http.close()
    await this.settled()
  }
}
