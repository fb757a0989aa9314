import { EventEmitter } from 'node:events'
import fp from 'fastify-plugin'

/** A session that began, as a webhook told; Digital Samba names it and its room by their ids only. */
interface StartedSession {
  session: string
  room: string | undefined
}

/** What has been observed of Digital Samba, for whoever in this process has a use for it. */
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
}

declare module 'fastify' {
  interface FastifyInstance {
    notices: Notices
  }
}

export default fp(async function notices(app) {
  app.decorate('notices', new Notices())
})
