import type { Clock } from '../clock.ts'

// One failed call says something about one session, three in a row about Digital Samba.
const FAILING_AFTER = 3
const OPENS_AFTER = 5
const ASKS_EVERY_MS = 1000
// After less than that nothing waits for long; and where one session answers while others never do, it is no outage.
const OUTAGE_MS = 5000
const TROUBLED_FOR_MS = 120_000

/**
 * After five failed calls in a row, whosever they were, one call a second asks whether Digital Samba answers again,
 * so that an outage does not use up the budget that is needed when it is over. Times are epoch ms.
 */
export class Breaker {
  readonly #clock: Clock
  #failures = 0
  #since = 0
  #why = ''
  #mayAskAt = 0
  #failedAt = Number.NEGATIVE_INFINITY
  #recoveredAt = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isOpen(): boolean {
    return this.#failures >= OPENS_AFTER
  }

  /** When the next call may ask; 0 where all may leave. */
  get mayAskAt(): number {
    // A clock that was set back must not keep it waiting.
    return this.isOpen ? Math.min(this.#mayAskAt, this.#clock.now() + ASKS_EVERY_MS) : 0
  }

  get isTroubled(): boolean {
    return this.#clock.now() - this.#failedAt < TROUBLED_FOR_MS
  }

  /** When the last outage was over. */
  get recoveredAt(): number {
    return this.#recoveredAt
  }

  get why(): string {
    return this.#why
  }

  /** Since when and why calls fail, if they do; `until` is when the next one asks. */
  get failing(): { since: number; why: string; until: number | undefined } | undefined {
    if (this.#failures < FAILING_AFTER) return undefined
    return { since: this.#since, why: this.#why, until: this.isOpen ? this.mayAskAt : undefined }
  }

  /** A call leaves: the next one waits for its turn. */
  asks(): void {
    if (this.isOpen) this.#mayAskAt = this.#clock.now() + ASKS_EVERY_MS
  }

  /** Returns whether this was the failure after which calls wait. */
  failed(why: string): boolean {
    this.#failedAt = this.#clock.now()
    if (this.#failures === 0) this.#since = this.#failedAt
    this.#failures += 1
    this.#why = why
    if (this.#failures !== OPENS_AFTER) return false
    this.#mayAskAt = this.#clock.now() + ASKS_EVERY_MS
    return true
  }

  /** Returns whether calls were waiting for this, and whether that was an outage. */
  succeeded(): { wasOpen: boolean; wasLong: boolean } {
    const now = this.#clock.now()
    const wasOpen = this.isOpen
    const wasLong = wasOpen && now - this.#since >= OUTAGE_MS
    this.#failures = 0
    if (wasLong) this.#recoveredAt = now
    return { wasOpen, wasLong }
  }
}
