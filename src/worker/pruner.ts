import type { Logger } from 'pino'
import type { Ledger } from '../storage/ledger.ts'
import { Loop, type Next } from './loop.ts'
import { logTrouble } from './trouble.ts'

const DAY_MS = 24 * 3_600_000
const EVERY_MS = 3_600_000
// As long as several batches take: the busier the ledger, the longer; and no chore is in a hurry.
const REST = 4
const LEAST_REST_MS = 10
const MOST_REST_MS = 1000

const restAfter = (tookMs: number) => Math.min(Math.max(tookMs * REST, LEAST_REST_MS), MOST_REST_MS)

/** Once an hour, whichever replica, removes what finished more than `days` ago, a small batch at a time. */
export class Pruner {
  readonly #ledger: Ledger
  readonly #days: number
  readonly #loop: Loop

  constructor({ ledger, days, log }: { ledger: Ledger; days: number; log: Logger }) {
    this.#ledger = ledger
    this.#days = days
    const onTrouble = logTrouble(log, 'pruning')
    this.#loop = new Loop({ clock: ledger.clock, onTrouble, lookAgainMs: EVERY_MS })
  }

  start(): void {
    this.#loop.start(() => this.#turn())
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  async #turn(): Promise<Next> {
    const { clock } = this.#ledger
    const { stopping } = this.#loop
    const { claimed, nextAt } = await this.#ledger.claimPruning(EVERY_MS)
    if (!claimed) return nextAt
    const before = clock.now() - this.#days * DAY_MS
    const rest = (tookMs: number) => clock.sleep(restAfter(tookMs), stopping)
    for (let isMore = true; isMore && !stopping.aborted; ) isMore = await this.#ledger.prune(before, rest)
    return nextAt
  }
}
