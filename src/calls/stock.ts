import { CLOCK_DOUBT_MS, type Clock } from '../clock.ts'
import type { PermitKind } from '../storage/schema.ts'
import { HOLD_MS, type PermitSource, type Spent, WINDOW_MS } from './permits.ts'

/** A row of the source that this process has taken. Times are epoch ms. */
export interface Taken {
  kind: PermitKind
  slot: number
  at: number
  /** when it is free again, as the source knows it */
  until: number
}

const TOLD_EVERY_MS = 1000
// What is taken ahead and not spent within that goes back.
const AHEAD_MS = 500
// Others may tell meanwhile that a row is free earlier, by as much as it may be held.
export const LOOK_AGAIN_MS = 1000
// As many are taken ahead as are spent in a fifth of a second, while so many are made in a second.
const AHEAD_S = 0.2
const MOST_AHEAD = 100
const RECENT_MS = 1000
const BUSY = 3

/** The permits that this process has taken from the source, what it knows of the others, and what it has to tell of. */
export class Stock {
  readonly #clock: Clock
  readonly #source: PermitSource
  /** How many are with somebody who will perhaps give them back in a moment. */
  lent = 0
  /** Calls that are taken and not spent, the oldest first. */
  #calls: Taken[] = []
  /** When the next of a kind is free, as far as is known (epoch ms). */
  readonly #opensAt = new Map<PermitKind, number>()
  #isShort = false
  /** When calls were spent in the last second. */
  readonly #recent: number[] = []
  #untold: Spent[] = []
  #toldAt = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, source: PermitSource) {
    this.#clock = clock
    this.#source = source
  }

  /** How many calls are at hand. */
  get size(): number {
    return this.#calls.length
  }

  /** Whether there were fewer calls than were wanted the last time. */
  get isShort(): boolean {
    return this.#isShort
  }

  /** Whether some have been here for too long. */
  get isStale(): boolean {
    return this.#calls.some((one) => this.#isStale(one))
  }

  /** How many calls to keep at hand: none where few are made, for each that is not spent has to be given back. */
  get ahead(): number {
    const now = this.#clock.now()
    for (let first = this.#recent[0]; first !== undefined; first = this.#recent[0]) {
      if (first > now - RECENT_MS && first <= now) break
      this.#recent.shift()
    }
    return this.#recent.length < BUSY ? 0 : Math.min(Math.ceil(this.#recent.length * AHEAD_S), MOST_AHEAD)
  }

  /** When there is something to tell or to give back (epoch ms). */
  get dueAt(): number {
    const tellAt = this.#untold.length === 0 ? Number.POSITIVE_INFINITY : this.#toldAt + TOLD_EVERY_MS
    return Math.min(tellAt, (this.#calls[0]?.at ?? Number.POSITIVE_INFINITY) + AHEAD_MS)
  }

  /** When there may be one of a kind, as far as is known: others tell how early theirs are free (epoch ms). */
  opensAt(kind: PermitKind): number {
    const opensAt = this.#opensAt.get(kind) ?? 0
    return Math.min(Math.max(opensAt - HOLD_MS, this.#clock.now() + LOOK_AGAIN_MS), opensAt)
  }

  /** Whether half of those that are kept at hand are gone: taken one for one, each call would cost a commit. */
  get isLow(): boolean {
    return this.size + this.lent <= this.ahead / 2
  }

  /** Sees to it that there are calls for so many who wait, and some at hand. */
  async refill(waiting: number): Promise<void> {
    if (this.size < waiting || this.isLow) await this.fill(waiting + Math.max(this.ahead - this.lent, 0))
  }

  /** Takes calls until so many are at hand, if there are. */
  async fill(wanted: number): Promise<void> {
    this.#calls.push(...(await this.take('call', wanted - this.#calls.length)))
  }

  /** The call that has been here for longest; none where that is too old to be spent. */
  next(): Taken | undefined {
    const first = this.#calls[0]
    return first && first.at + HOLD_MS > this.#clock.now() ? this.#calls.shift() : undefined
  }

  /** Whether there may be one of a kind, as far as is known. */
  mayHave(kind: PermitKind): boolean {
    return (kind === 'call' && this.size > 0) || this.#isOpen(kind)
  }

  #isOpen(kind: PermitKind): boolean {
    const now = this.#clock.now()
    const opensAt = this.#opensAt.get(kind) ?? 0
    // One that lies further ahead than any could be was learnt before the clock was set back.
    const isBelievable = opensAt <= now + WINDOW_MS + HOLD_MS + CLOCK_DOUBT_MS || !Number.isFinite(opensAt)
    return opensAt - HOLD_MS <= now || !isBelievable
  }

  /** Up to so many of a kind. */
  async take(kind: PermitKind, most: number): Promise<Taken[]> {
    const now = this.#clock.now()
    const until = now + WINDOW_MS + HOLD_MS
    if (most <= 0 || !this.#isOpen(kind)) return []
    const taken = await this.#source.take(kind, most, until)
    if (kind === 'call') this.#isShort = taken.slots.length < most
    this.#opensAt.set(kind, taken.opensAt)
    if (taken.opensAt > until + CLOCK_DOUBT_MS && Number.isFinite(taken.opensAt)) {
      await this.#source.mend(now + WINDOW_MS)
      this.#opensAt.set(kind, 0)
    }
    return taken.slots.map((slot) => ({ kind, slot, at: now, until }))
  }

  /** They are used for calls that leave now; false where one of them was held for too long. */
  spend(taken: Taken[]): boolean {
    const now = this.#clock.now()
    if (taken.some(({ at }) => at + HOLD_MS <= now)) return false
    this.#recent.push(now)
    for (const { kind, slot, until } of taken)
      this.#untold.push({ kind, slot, until, freeAt: now + WINDOW_MS })
    return true
  }

  /** Unspent: calls are at hand again, and go back to the source when their time is over. Returns what is no call. */
  putBack(taken: Taken[]): Taken[] {
    for (const one of taken)
      if (one.kind === 'call')
        this.#calls.splice(this.#calls.findLastIndex(({ at }) => at <= one.at) + 1, 0, one)
    return taken.filter(({ kind }) => kind !== 'call')
  }

  async giveBack(taken: Taken[]): Promise<void> {
    for (const [until, atOnce] of Map.groupBy(taken, (one) => one.until))
      for (const [kind, some] of Map.groupBy(atOnce, (one) => one.kind)) {
        const slots = some.map(({ slot }) => slot)
        await this.#source.giveBack(kind, slots, until)
        this.#opensAt.set(kind, 0)
      }
  }

  /** Gives back what has been here for too long, and tells when what was spent is free again. */
  async keep(): Promise<void> {
    const stale = this.#calls.filter((one) => this.#isStale(one))
    if (stale.length > 0) this.#calls = this.#calls.filter((one) => !this.#isStale(one))
    await this.giveBack(stale)
    const now = this.#clock.now()
    // A clock that was set back is no reason to wait for the time before.
    if (this.#toldAt + TOLD_EVERY_MS <= now || this.#toldAt > now) await this.#tell()
  }

  /** Gives everything back. */
  async close(): Promise<void> {
    await this.#tell()
    await this.giveBack(this.#calls.splice(0))
  }

  async #tell(): Promise<void> {
    if (this.#untold.length === 0) return
    this.#toldAt = this.#clock.now()
    const spent = this.#untold.splice(0)
    await this.#source.settle(spent)
    for (const { kind } of spent) this.#opensAt.set(kind, 0)
  }

  #isStale({ at }: Taken): boolean {
    const now = this.#clock.now()
    return at + AHEAD_MS <= now || at > now
  }
}
