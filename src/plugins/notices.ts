import { EventEmitter } from 'node:events'
import fp from 'fastify-plugin'
import type { CallMade } from '../digital-samba/client.ts'

/** A session that began, as a webhook told; Digital Samba names it and its room by their ids only. */
interface StartedSession {
  session: string
  room: string | undefined
}

/** What has been observed in this process, for whoever in it has a use for that. */
class Notices {
  readonly #events = new EventEmitter()
  /** When Digital Samba's webhook came last to this process, and when it was last refused (epoch ms). */
  readonly webhook: { lastAt?: number; lastRefusedAt?: number } = {}

  sessionStarted(started: StartedSession): void {
    this.#events.emit('session_started', started)
  }

  onSessionStarted(listener: (started: StartedSession) => void): void {
    this.#events.on('session_started', listener)
  }

  /** Digital Samba was called, whatever came of it. */
  called(call: CallMade): void {
    this.#events.emit('called', call)
  }

  onCalled(listener: (call: CallMade) => void): void {
    this.#events.on('called', listener)
  }

  /** The very first call for an ending was made, so late. */
  firstCalled(latenessMs: number): void {
    this.#events.emit('first_called', latenessMs)
  }

  onFirstCalled(listener: (latenessMs: number) => void): void {
    this.#events.on('first_called', listener)
  }

  /** A caller was told of an ending, or not: `told`, `retry` or `failed`. */
  notified(result: string): void {
    this.#events.emit('notified', result)
  }

  onNotified(listener: (result: string) => void): void {
    this.#events.on('notified', listener)
  }

  /** An event was taken in; `status` is what its sender was answered. */
  eventTaken(type: string, status: string): void {
    this.#events.emit('event_taken', type, status)
  }

  onEventTaken(listener: (type: string, status: string) => void): void {
    this.#events.on('event_taken', listener)
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    notices: Notices
  }
}

export default fp(async function notices(app) {
  app.decorate('notices', new Notices())
})
