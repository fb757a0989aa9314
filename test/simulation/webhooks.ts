import type { Session } from '../../src/sandbox/sandbox.ts'
import { mayWalkBack } from './people.ts'
import type { Stage } from './stage.ts'

/** Digital Samba's webhooks: some are lost, some come twice, some late, in both of their spellings. */
export class Webhooks {
  readonly #stage: Stage
  readonly #live = new Set<Session>()
  readonly #onOver: (session: Session) => void

  constructor(stage: Stage, onOver: (session: Session) => void) {
    this.#stage = stage
    this.#onOver = onOver
  }

  /** Tells of what has happened since the last look. */
  look(): void {
    const { sandbox } = this.#stage
    for (const session of [...this.#live]) {
      if (session.live) continue
      this.#live.delete(session)
      this.#onOver(session)
      this.#happened('session_ended', session)
      mayWalkBack(this.#stage, session.room)
    }
    for (const session of sandbox.liveSessions()) {
      if (this.#live.has(session)) continue
      this.#live.add(session)
      this.#happened('session_started', session)
    }
  }

  #happened(event: string, session: Session): void {
    const stage = this.#stage
    stage.note(session.room, `${event} ${session.id}`)
    if (stage.chance(0.3)) return
    const { id } = session
    const room = session.room.id
    const body = stage.chance(0.5)
      ? { eventType: event, sessionId: id, roomId: room }
      : { event, session_id: id, room_id: room }
    const tell = () => {
      stage.count(stage.curfew ? 'webhooks' : 'webhooks lost')
      // Nobody waits for what it answers, and whoever is down has missed it.
      stage.curfew?.tell(body).catch(() => undefined)
    }
    for (let times = stage.chance(0.3) ? 2 : 1; times > 0; times -= 1)
      if (stage.chance(0.7)) tell()
      else stage.later(stage.between(1, 40_000), tell)
  }
}
