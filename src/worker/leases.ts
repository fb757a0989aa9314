import type { Ledger } from '../storage/ledger.ts'
import type { EndingRow } from '../storage/schema.ts'
import { Loop, type Next } from './loop.ts'

/**
 * How long (ms) a claim holds that nobody renews: what a dead process had is taken up within 15 seconds, the time in which
 * others notice it included.
 */
export const LEASE_MS = 12_000
const RENEWED_EVERY_MS = 4_000

/** The lease of one claim. It is over when it is lost, or when nobody could renew it in time. */
export interface Lease {
  readonly ending: EndingRow
  /** epoch ms; the clock is the ledger's */
  until: number
  isLost: boolean
}

/** The claims that this process holds: renewed all together, for as long as somebody works on them. */
export class Leases {
  readonly #ledger: Ledger
  readonly #held = new Set<Lease>()
  readonly #loop: Loop

  constructor(ledger: Ledger, onTrouble: (error: unknown) => void) {
    this.#ledger = ledger
    this.#loop = new Loop({ clock: ledger.clock, onTrouble, lookAgainMs: LEASE_MS })
  }

  start(): void {
    this.#loop.start(() => this.#turn())
  }

  /** Only when nothing is held any more: until the last attempt is written down, it has to be renewed. */
  stop(): Promise<void> {
    return this.#loop.stop()
  }

  hold(ending: EndingRow): Lease {
    const lease = { ending, until: ending.claimed_until as number, isLost: false }
    this.#held.add(lease)
    this.#loop.wakeFor(this.#ledger.clock.now() + RENEWED_EVERY_MS)
    return lease
  }

  letGo(lease: Lease): void {
    this.#held.delete(lease)
  }

  isOver({ until, isLost }: Lease): boolean {
    return isLost || until <= this.#ledger.clock.now()
  }

  async #turn(): Promise<Next> {
    const now = this.#ledger.clock.now()
    const oldest = Math.min(...[...this.#held].map(({ until }) => until))
    const renewAt = oldest - LEASE_MS + RENEWED_EVERY_MS
    if (renewAt > now) return renewAt
    const held = [...this.#held]
    const until = now + LEASE_MS
    const renewed = await this.#ledger.renew(
      held.map(({ ending: { id, claim } }) => ({ id, claim })),
      until,
    )
    for (const lease of held) {
      if (renewed.has(lease.ending.id)) lease.until = until
      // What was written down meanwhile is not held any more; of all else somebody has raised the number.
      else lease.isLost = true
    }
    return now + RENEWED_EVERY_MS
  }
}
