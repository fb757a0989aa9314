import type { CallGate } from '../calls/gate.ts'
import type { Ledger } from '../storage/ledger.ts'
import type { Claimed } from './executor.ts'
import type { Leases } from './leases.ts'

// Where attempts take longer, what is claimed ahead would wait for long, and its owner could not change it meanwhile.
const QUICK_MS = 250

/**
 * Endings that are claimed ahead, with their permits, so that whoever becomes free need not wait for a claim: under load
 * that is a commit, which everybody who stores something shares.
 */
export class Ready {
  readonly #ledger: Ledger
  readonly #gate: CallGate
  readonly #leases: Leases
  readonly #most: number
  readonly #waiting: Claimed[] = []
  #isQuick = false

  constructor(ledger: Ledger, gate: CallGate, leases: Leases, most: number) {
    this.#ledger = ledger
    this.#gate = gate
    this.#leases = leases
    this.#most = most
  }

  /** How many more may be claimed ahead. */
  get room(): number {
    return this.#isQuick && this.#gate.isOpen ? this.#most - this.#waiting.length : -this.#waiting.length
  }

  /** Whether so few are left that it is time for the next claim. */
  get isLow(): boolean {
    return this.#waiting.length <= this.#most / 2
  }

  /** How long (ms) an attempt has taken. */
  took(ms: number): void {
    this.#isQuick = ms < QUICK_MS
  }

  add(claimed: Claimed): void {
    this.#waiting.push(claimed)
  }

  /** The next; none where no call may leave any more. */
  next(): Claimed | undefined {
    return this.#gate.isOpen ? this.#waiting.shift() : undefined
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** Gives all back as if they had never been claimed. Rejects where that cannot be stored: their leases run out then. */
  async giveBack(): Promise<void> {
    const waiting = this.#waiting.splice(0)
    for (const { permit, lease } of waiting) {
      permit.giveBack()
      this.#leases.letGo(lease)
    }
    await Promise.all(waiting.map(({ ending }) => this.#ledger.record(ending, [], { to: 'released' })))
  }
}
