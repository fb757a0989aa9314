import { type Clock, sleepUntil } from '../clock.ts'
import type { PermitKind } from '../storage/schema.ts'
import {
  type CallLimits,
  LONGEST_PAUSE_MS,
  type Permit,
  type PermitSource,
  type Priority,
  RANK,
  type Rank,
} from './permits.ts'
import { LOOK_AGAIN_MS, Stock, type Taken } from './stock.ts'

const RANKS: readonly Rank[] = Object.values(RANK)
/** What a call of each rank takes; an urgent one, where there is no call, one of its own kind. */
const KINDS: Record<Rank, PermitKind[]> = {
  [RANK.urgent]: ['call', 'urgent'],
  [RANK.ending]: ['call'],
  [RANK.warning]: ['call', 'other'],
  [RANK.sweep]: ['call', 'other', 'sweep'],
  [RANK.confirmation]: ['call', 'other', 'sweep'],
}
const OTHERS = [RANK.warning, RANK.sweep, RANK.confirmation] as const
// There is a confirmation for each end: in a quiet minute they may have more than the share of what is no end.
const QUIET = 0.25
const AFTER_TROUBLE_MS = { first: 50, most: 1000 }
// Under load there are always some at hand: this is for the first ones after a quiet time.
const MOST_PREPARED = 4
// Making an AbortSignal's own reason costs as much as a statement, for its stack is taken down.
const WOKEN = new Error('woken')

interface Waiter {
  at: number
  /** how many calls are likely to be wanted at once */
  likely: number
  grant: (permit: Permit | undefined) => void
}

/**
 * Who gets the permits that all processes on one ledger share: what is due now goes now, with no pacing below the
 * number. They are taken for whoever waits, and while calls are made a few ahead.
 */
export class CallBudget {
  readonly #clock: Clock
  readonly #source: PermitSource
  readonly #stock: Stock
  readonly #quiet: number
  readonly #perMinute: number
  readonly #onTrouble: (error: unknown) => void
  readonly #waiters = new Map<Rank, Waiter[]>(RANKS.map((rank) => [rank, []]))
  /** How many are likely to ask in a moment. */
  #likelySoon = 0
  #pausedUntil = 0
  /** Paused without an end, by people. */
  #isHeld = false
  /** When to look again whether the minute is quiet (epoch ms). */
  #quietAt = 0
  #afterTroubleMs = AFTER_TROUBLE_MS.first
  #isPumping = false
  #isAgain = false
  #sleeping: AbortController | undefined
  /** When it looks again by itself (epoch ms). */
  #looksAt = Number.POSITIVE_INFINITY

  constructor(
    clock: Clock,
    limits: CallLimits,
    source: PermitSource,
    onTrouble: (error: unknown) => void = () => {},
  ) {
    this.#clock = clock
    this.#source = source
    this.#stock = new Stock(clock, source)
    this.#perMinute = limits.perMinute
    this.#quiet = Math.floor(limits.perMinute * QUIET)
    this.#onTrouble = onTrouble
  }

  /**
   * Waits for a permit; undefined where `signal` aborted first. Where more are `likely` to be wanted, they are at hand
   * then, if there are so many.
   */
  take({ rank, at }: Priority, signal: AbortSignal, likely = 1): Promise<Permit | undefined> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve(undefined)
      const waiting = this.#of(rank)
      const giveUp = () => {
        waiting.splice(waiting.indexOf(waiter), 1)
        resolve(undefined)
        this.#pump()
      }
      const grant = (permit: Permit | undefined) => {
        signal.removeEventListener('abort', giveUp)
        resolve(permit)
      }
      const waiter: Waiter = { at, likely, grant }
      signal.addEventListener('abort', giveUp, { once: true })
      // Behind its equals: who came first goes first.
      waiting.splice(waiting.findLastIndex((other) => other.at <= at) + 1, 0, waiter)
      this.#pump()
    })
  }

  /** A permit for an ending, if one is at hand this moment and no ending waits for it. */
  takeAtOnce(): Permit | undefined {
    if (this.#isAwaited || this.#isPaused) return undefined
    const permit = this.#atHand()
    this.#pumpIfNeeded()
    return permit
  }

  /** How many somebody has who will perhaps give them back in a moment: nothing is taken in their place before that. */
  set lent(count: number) {
    this.#stock.lent = count
  }

  get lent(): number {
    return this.#stock.lent
  }

  /** Somebody will want a permit in a moment: where none is at hand, it is taken while that one does something else. */
  prepare(): void {
    if (this.#stock.size > this.#likelySoon) return
    this.#likelySoon = Math.min(this.#likelySoon + 1, MOST_PREPARED)
    this.#pump()
  }

  /** Whether there were fewer calls than were wanted the last time. */
  get isShort(): boolean {
    return this.#stock.isShort
  }

  /** No permit before `until` (epoch ms). Never shortens a pause. */
  pause(until: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, until)
    this.#pump()
  }

  /** No permit for anybody, until they are let go again; what was taken ahead goes back. */
  hold(isHeld: boolean): void {
    if (isHeld === this.#isHeld) return
    this.#isHeld = isHeld
    this.#pump()
  }

  /** How many calls could leave now if nothing paused them. */
  async left(): Promise<number> {
    const taken = await this.#source.taken('call', this.#perMinute)
    return Math.max(this.#perMinute - taken, 0) + this.#stock.size
  }

  /** Gives back what was taken ahead. Nobody gets a permit any more. */
  async close(): Promise<void> {
    this.#sleeping?.abort()
    this.#pausedUntil = Number.POSITIVE_INFINITY
    await this.#stock.close()
  }

  get #isPaused(): boolean {
    if (this.#isHeld) return true
    // A clock that was set back must not turn ten minutes into hours.
    if (Number.isFinite(this.#pausedUntil))
      this.#pausedUntil = Math.min(this.#pausedUntil, this.#clock.now() + LONGEST_PAUSE_MS)
    return this.#pausedUntil > this.#clock.now()
  }

  /** Whether an end waits. */
  get #isAwaited(): boolean {
    return this.#of(RANK.urgent).length + this.#of(RANK.ending).length > 0
  }

  #of(rank: Rank): Waiter[] {
    return this.#waiters.get(rank) as Waiter[]
  }

  /**
   * Where no end waits and enough is at hand, there is nothing to do before it looks by itself: whatever else waits is not
   * served by a call that leaves.
   */
  #pumpIfNeeded(): void {
    if (this.#isAwaited || this.#stock.isLow || this.#stock.dueAt < this.#looksAt) this.#pump()
  }

  #pump(): void {
    this.#isAgain = true
    if (!this.#isPumping) void this.#run()
  }

  async #run(): Promise<void> {
    this.#isPumping = true
    this.#sleeping?.abort(WOKEN)
    let next = Number.POSITIVE_INFINITY
    try {
      while (this.#isAgain) {
        this.#isAgain = false
        next = await this.#turn()
        this.#afterTroubleMs = AFTER_TROUBLE_MS.first
      }
    } catch (error) {
      this.#onTrouble(error)
      next = this.#clock.now() + this.#afterTroubleMs
      this.#afterTroubleMs = Math.min(this.#afterTroubleMs * 2, AFTER_TROUBLE_MS.most)
    }
    this.#isPumping = false
    this.#looksAt = Number.POSITIVE_INFINITY
    if (Number.isFinite(next)) void this.#sleepUntil(next)
  }

  async #sleepUntil(at: number): Promise<void> {
    const sleeping = new AbortController()
    this.#sleeping = sleeping
    this.#looksAt = at
    await sleepUntil(this.#clock, at, sleeping.signal)
    if (!sleeping.signal.aborted) this.#pump()
  }

  /** Takes what is wanted and grants it, the higher ranks first. Returns when to look again (epoch ms). */
  async #turn(): Promise<number> {
    if (this.#isHeld) {
      await this.#stock.close()
      return Number.POSITIVE_INFINITY
    }
    await this.#stock.keep()
    if (this.#isPaused) return Math.min(this.#pausedUntil, this.#stock.dueAt)
    const ends = [...this.#of(RANK.urgent), ...this.#of(RANK.ending)]
    const likely = ends.reduce((sum, waiter) => sum + waiter.likely, 0)
    const soon = this.#likelySoon
    this.#likelySoon = 0
    await this.#stock.refill(Math.max(ends.length, likely, soon))
    this.#grant(RANK.urgent, () => this.#atHand())
    this.#grant(RANK.ending, () => this.#atHand())
    await this.#grantUrgent()
    for (const rank of OTHERS) if (this.#of(rank).length > 0) await this.#grantOthers(rank)
    // Where the source took so long that what it gave is too old by now, it is asked again.
    if (this.#stock.isStale) this.#isAgain = true
    return this.#next()
  }

  #next(): number {
    const now = this.#clock.now()
    const waiting = RANKS.filter((rank) => this.#of(rank).length > 0)
    const next = Math.min(this.#stock.dueAt, ...waiting.map((rank) => this.#opensFor(rank)))
    // All that somebody waits for is free, and others were faster: again in a moment.
    return Math.max(next, now + 1)
  }

  /** When there may be a permit of that rank, as far as is known (epoch ms). */
  #opensFor(rank: Rank): number {
    const opens = KINDS[rank].map((kind) => this.#stock.opensAt(kind))
    if (rank === RANK.urgent) return Math.min(...opens)
    const all = Math.max(...opens)
    return rank === RANK.confirmation ? Math.min(all, this.#quietAt) : all
  }

  /** To those who wait, in their order, as long as there is one. */
  #grant(rank: Rank, permitFor: () => Permit | undefined): void {
    const waiting = this.#of(rank)
    while (waiting.length > 0) {
      const permit = permitFor()
      if (!permit) return
      waiting.shift()?.grant(permit)
    }
  }

  async #grantUrgent(): Promise<void> {
    const extra = await this.#stock.take('urgent', this.#of(RANK.urgent).length)
    this.#grant(RANK.urgent, () => {
      const one = extra.shift()
      return one && this.#permit([one], true)
    })
    await this.#stock.giveBack(extra)
  }

  /** Each needs one of each part that its rank has to keep to, and a call. */
  async #grantOthers(rank: (typeof OTHERS)[number]): Promise<void> {
    // Where one of them is known to be spent, the others need not be taken and given back, with each call that leaves.
    const isOpen = KINDS[rank].every((kind) => this.#stock.mayHave(kind))
    let parts: Taken[][] = isOpen ? this.#of(rank).map(() => []) : []
    for (const kind of KINDS[rank].filter((kind) => kind !== 'call')) {
      const some = await this.#stock.take(kind, parts.length)
      await this.#stock.giveBack(parts.splice(some.length).flat())
      parts = some.map((one, i) => [one, ...(parts[i] as Taken[])])
    }
    await this.#stock.fill(parts.length)
    this.#grant(rank, () => {
      const call = parts.length > 0 ? this.#stock.next() : undefined
      return call && this.#permit([call, ...(parts.shift() as Taken[])], false)
    })
    await this.#stock.giveBack(parts.flat())
    if (rank === RANK.confirmation && this.#of(rank).length > 0) await this.#grantWhileQuiet()
  }

  async #grantWhileQuiet(): Promise<void> {
    const now = this.#clock.now()
    if (this.#quietAt > now && this.#quietAt <= now + LOOK_AGAIN_MS) return
    this.#quietAt = now + LOOK_AGAIN_MS
    const held = this.#stock.size
    const spent = (await this.#source.taken('call', this.#quiet + held)) - held
    let left = Math.min(this.#quiet - spent, this.#of(RANK.confirmation).length)
    await this.#stock.fill(left)
    this.#grant(RANK.confirmation, () => {
      left -= 1
      return left >= 0 ? this.#atHand() : undefined
    })
  }

  #atHand(): Permit | undefined {
    const one = this.#stock.next()
    return one && this.#permit([one], false)
  }

  #permit(taken: Taken[], forUrgentOnly: boolean): Permit {
    let isOpen = true
    const giveBack = () => {
      if (!isOpen) return
      isOpen = false
      const parts = this.#stock.putBack(taken)
      this.#stock.giveBack(parts).catch(this.#onTrouble)
      this.#pump()
    }
    const spend = () => {
      // Digital Samba may have said since it was taken that no call is to come.
      if (!isOpen || this.#isPaused || !this.#stock.spend(taken)) {
        giveBack()
        return false
      }
      isOpen = false
      this.#pumpIfNeeded()
      return true
    }
    return { forUrgentOnly, spend, giveBack }
  }
}
