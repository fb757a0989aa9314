import type { Call, Room, Session } from '../../src/sandbox/sandbox.ts'
import { namesOf } from './asked.ts'
import { isLeftAlone } from './owners.ts'
import { type Stage, time } from './stage.ts'

// A second for what happens at one instant of the clock and takes its turn.
const SLACK_MS = 1000

/** Watches every end call and every session: not before anything asked for it, and not later than can be explained. */
export class Judge {
  readonly #stage: Stage
  readonly #doubtful: Call[] = []
  readonly #late = new Set<Session>()
  /** how late sessions were over that nothing disturbed, ms */
  readonly lateness: number[] = []
  readonly faults: Array<{ session: Session; what: string }> = []

  constructor(stage: Stage) {
    this.#stage = stage
    stage.sandbox.onCall((call) => {
      if (call.operation === 'end' && !this.#isAskedFor(call)) this.#doubtful.push(call)
    })
  }

  /** Every session that is live: is it overdue beyond what an outage explains? */
  look(): void {
    // A call may be faster than the answer to whoever asked for it.
    for (const call of this.#doubtful.splice(0))
      if (!this.#isAskedFor(call))
        this.#fault(this.#session(call), `was asked to end at ${time(call.at)}, when nothing asked for it`)
    for (const session of this.#stage.live()) this.#lookAt(session, this.#stage.now)
  }

  /** A session is over, whatever ended it. */
  over(session: Session): void {
    this.#lookAt(session, session.endTime as number)
    const owedAt = this.#owedAt(session, session.endTime as number)
    const wasEnded = this.#stage.calls(session).some(({ operation }) => operation === 'end')
    if (!wasEnded || !Number.isFinite(owedAt) || this.#until(session, owedAt) > owedAt + SLACK_MS) return
    this.lateness.push(Math.max((session.endTime as number) - owedAt, 0))
  }

  #lookAt(session: Session, at: number): void {
    const owedAt = this.#owedAt(session, at)
    if (at <= owedAt + SLACK_MS || this.#late.has(session)) return
    const until = this.#until(session, owedAt)
    if (at <= until) return
    this.#late.add(session)
    const state = session.live ? 'is still live' : 'was over'
    this.#fault(session, `${state} at ${time(at)}, and had to be over by ${time(owedAt)} (${time(until)})`)
  }

  #owedAt(session: Session, at: number): number {
    return Math.min(...this.#stage.asked.causes(session, at).map((cause) => cause.owedAt))
  }

  /** Until when an end that is due may take, for all that was in its way. */
  #until(session: Session, owedAt: number): number {
    const names = namesOf(session.room)
    let until = owedAt + SLACK_MS
    for (const { from, to, recoveryMs, session: one, room } of this.#stage.disturbances) {
      if (from > until) break
      const isAbout = (!one || one === session.id) && (!room || names.includes(room))
      if (isAbout && to + recoveryMs > until) until = to + recoveryMs + SLACK_MS
    }
    return until
  }

  #isAskedFor(call: Call): boolean {
    const causes = this.#stage.asked.causes(this.#session(call), call.at)
    return causes.some(({ dueAt }) => dueAt <= call.at)
  }

  #session(call: Call): Session {
    return this.#stage.sandbox.session(call.session as string) as Session
  }

  #fault(session: Session, what: string): void {
    const causes = this.#stage.asked.causes(session, this.#stage.now)
    const asked = causes.map(({ why, dueAt, owedAt }) => `${why} ${time(dueAt)} (${time(owedAt)})`)
    this.faults.push({ session, what: `${what}; what asks for it: ${asked.join(', ') || 'nothing'}` })
  }

  /** Rooms of which nobody asked anything: their sessions are over by themselves. */
  touched(): Room[] {
    const { sandbox, rooms } = this.#stage
    const called = sandbox.calls.flatMap((call) => (call.operation === 'end' ? [this.#session(call)] : []))
    return rooms.filter((room) => isLeftAlone(this.#stage, room) && called.some((one) => one.room === room))
  }
}
