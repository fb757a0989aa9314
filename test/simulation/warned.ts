import type { Call, Session } from '../../src/sandbox/sandbox.ts'
import { MINUTE_MS, SWEEP_MS } from './asked.ts'
import { type Stage, time } from './stage.ts'

/** People are warned so long before an end by the service's configuration, and by every list of minutes asked for. */
export const WARN_MS = 5 * MINUTE_MS
// One message does for two ends, and a warning waits for its call no longer than this.
const BETWEEN_WARNINGS_MS = 2 * MINUTE_MS
const PATIENCE_MS = 30_000
// Whatever makes an end late may keep a warning from being sent; what fails once is not sent again.
const LOOKED_AT_MS = WARN_MS - PATIENCE_MS - SWEEP_MS

interface Expected {
  dueAt: number
  /** since when this has been the first end that is asked for */
  since: number
}

/** Watches that whoever is to be put out of a room is told of it, where nothing kept the message from being sent. */
export class Warned {
  readonly #stage: Stage
  readonly #expected = new Map<Session, Expected>()
  /** how many warnings had to be in a chat */
  owed = 0
  readonly faults: Array<{ session: Session; what: string }> = []

  constructor(stage: Stage) {
    this.#stage = stage
  }

  /** Every moment: sessions that are live, and what ends them first. */
  look(): void {
    const { now } = this.#stage
    for (const session of this.#stage.live()) {
      const causes = this.#stage.asked.causes(session, now)
      const first = causes.sort((a, b) => a.dueAt - b.dueAt)[0]
      const isOwed = first && Number.isFinite(first.owedAt) && first.dueAt > now
      const known = this.#expected.get(session)
      if (!isOwed) this.#expected.delete(session)
      else if (known?.dueAt !== first.dueAt) this.#expected.set(session, { dueAt: first.dueAt, since: now })
      else if (known.dueAt - now <= LOOKED_AT_MS) this.#judge(session, known)
    }
  }

  #judge(session: Session, expected: Expected): void {
    const { dueAt, since } = expected
    if (since === Number.POSITIVE_INFINITY) return
    // Once for each time that somebody is to be told of.
    expected.since = Number.POSITIVE_INFINITY
    const warnAt = dueAt - WARN_MS
    // A session has to be noticed first, or the change of its rule.
    if (Math.max(since, session.startTime) + SWEEP_MS >= warnAt || this.#wasHindered(warnAt)) return
    // A rule as short as that never warns so early, also where more minutes were given.
    if (this.#stage.asked.limitsOf(session).some(({ rule }) => rule.maxMinutes * MINUTE_MS <= WARN_MS)) return
    this.owed += 1
    const isTold = this.#stage.sandbox.chat.some(
      ({ room, at }) =>
        room === session.room.id && at >= warnAt - BETWEEN_WARNINGS_MS && at <= warnAt + PATIENCE_MS,
    )
    if (!isTold) this.faults.push({ session, what: `nobody was told at ${time(warnAt)} of ${time(dueAt)}` })
  }

  #wasHindered(warnAt: number): boolean {
    const { disturbances, sandbox } = this.#stage
    const hasFailed = ({ at, status }: Call) =>
      at >= warnAt && at <= warnAt + PATIENCE_MS && (status === 0 || status >= 400)
    return (
      sandbox.calls.some(hasFailed) ||
      disturbances.some(
        ({ from, to, recoveryMs }) => from <= warnAt + PATIENCE_MS && to + recoveryMs >= warnAt - SWEEP_MS,
      )
    )
  }
}
