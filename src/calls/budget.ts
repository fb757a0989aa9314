import { type Clock, sleepUntil } from '../clock.ts'

/** Who goes first when calls are short; within a rank the earlier `at` (epoch ms) does. */
export const RANK = { urgent: 0, ending: 1, warning: 2, sweep: 3, confirmation: 4 } as const
export type Rank = (typeof RANK)[keyof typeof RANK]
const RANKS: readonly Rank[] = Object.values(RANK)
export interface Priority {
  rank: Rank
  at: number
}

/** The right to make one call. It counts against the budget until it is given back unused. */
export interface Permit {
  /** It is one of the few that only urgent endings may use. */
  readonly forUrgentOnly: boolean
  /** The call leaves now. */
  spend(): void
  giveBack(): void
}

/** How many calls may leave, and which of those that wait goes first. */
export interface CallBudget {
  /** Waits for a permit; undefined where `signal` aborted first. */
  take(priority: Priority, signal: AbortSignal): Promise<Permit | undefined>
  /** A permit for an ending if one is free this moment and no ending waits for it. */
  takeAtOnce(): Permit | undefined
  /** No permit before `until` (epoch ms). Never shortens a pause. */
  pause(until: number): void
  /** How many calls could leave now if nothing paused them. */
  left(): number
}

/** How many calls may leave in a minute; urgent endings may use a few more. */
export interface CallLimits {
  perMinute: number
  urgentPerMinute: number
}

/**
 * Digital Samba counts calls in minutes that begin when it likes, so at most `perMinute` in *any* 60 seconds is what
 * keeps to all of them; the 61st second is for calls that take longer on the way than the ones before them.
 */
export const WINDOW_MS = 61_000
/** The longest anybody is believed who asks to be left alone. */
export const LONGEST_PAUSE_MS = 10 * 60_000
// What is not an end may use this part of the calls, so that ends which come later always find the rest.
const SHARE_OF_OTHERS = 0.1
// Of that share, a part is left for people who ask.
const SHARE_OF_SWEEPS = 0.8
// There is a confirmation for each end: in a quiet minute they may have more than the share.
const QUIET = 0.25

interface Waiter {
  at: number
  grant: (permit: Permit | undefined) => void
}

/** Calls of the last minute (epoch ms, ascending), and those that have been permitted and not made yet. */
class Count {
  readonly #clock: Clock
  #spent: number[]
  #held = 0

  constructor(clock: Clock, spent: number[] = []) {
    this.#clock = clock
    this.#spent = spent
  }

  get used(): number {
    this.#forget()
    return this.#spent.length + this.#held
  }

  hold(): void {
    this.#held += 1
  }

  release(): void {
    this.#held -= 1
  }

  spend(): void {
    this.#held -= 1
    this.#spent.push(this.#clock.now())
  }

  /** When fewer than `limit` are used (epoch ms): 0 where they are now, infinity where somebody has to give back first. */
  opensAt(limit: number): number {
    const over = this.used - limit
    if (over < 0) return 0
    const last = this.#spent[over]
    return last === undefined ? Number.POSITIVE_INFINITY : last + WINDOW_MS
  }

  #forget(): void {
    const now = this.#clock.now()
    if ((this.#spent.at(-1) ?? 0) > now) this.#spent = this.#spent.map((at) => Math.min(at, now))
    const kept = this.#spent.findIndex((at) => at + WINDOW_MS > now)
    if (kept !== 0) this.#spent = kept === -1 ? [] : this.#spent.slice(kept)
  }
}

/** The budget of a single process: a sliding count, with no pacing below it. What is due now goes now. */
export class SlidingBudget implements CallBudget {
  readonly #clock: Clock
  readonly #limits: CallLimits
  readonly #all: Count
  /** those that were for no end */
  readonly #others: Count
  #pausedUntil = 0
  readonly #waiters = new Map<Rank, Waiter[]>(RANKS.map((rank) => [rank, []]))
  #sleeping: AbortController | undefined

  /** `spent`: when calls of the last minute left (epoch ms, ascending), for a process that is not the first. */
  constructor(clock: Clock, limits: CallLimits, spent: number[] = []) {
    this.#clock = clock
    this.#limits = limits
    this.#all = new Count(clock, spent)
    this.#others = new Count(clock)
  }

  take({ rank, at }: Priority, signal: AbortSignal): Promise<Permit | undefined> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve(undefined)
      const waiting = this.#waiters.get(rank) as Waiter[]
      const giveUp = () => {
        waiting.splice(waiting.indexOf(waiter), 1)
        resolve(undefined)
        this.#grantAll()
      }
      const grant = (permit: Permit | undefined) => {
        signal.removeEventListener('abort', giveUp)
        resolve(permit)
      }
      const waiter: Waiter = { at, grant }
      signal.addEventListener('abort', giveUp, { once: true })
      // Behind its equals: who came first goes first.
      waiting.splice(waiting.findLastIndex((other) => other.at <= at) + 1, 0, waiter)
      this.#grantAll()
    })
  }

  takeAtOnce(): Permit | undefined {
    const isAwaited = [RANK.urgent, RANK.ending].some((rank) => this.#waiters.get(rank)?.length)
    return !isAwaited && this.#opensAt(RANK.ending) <= this.#clock.now()
      ? this.#permit(RANK.ending)
      : undefined
  }

  pause(until: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, until)
    this.#grantAll()
  }

  left(): number {
    return Math.max(this.#limits.perMinute - this.#all.used, 0)
  }

  /** The higher ranks first. Where all that a rank may use is used, a lower one can have none either. */
  #grantAll(): void {
    let next = Number.POSITIVE_INFINITY
    for (const [rank, waiting] of this.#waiters) {
      let opensAt = this.#opensAt(rank)
      while (waiting.length > 0 && opensAt <= this.#clock.now()) {
        waiting.shift()?.grant(this.#permit(rank))
        opensAt = this.#opensAt(rank)
      }
      if (waiting.length > 0) next = Math.min(next, opensAt)
    }
    this.#sleeping?.abort()
    this.#sleeping = undefined
    // Where every permit is held and none spent, the one that is spent or given back opens it.
    if (Number.isFinite(next)) void this.#grantLater(next)
  }

  async #grantLater(at: number): Promise<void> {
    const sleeping = new AbortController()
    this.#sleeping = sleeping
    await sleepUntil(this.#clock, at, sleeping.signal)
    if (!sleeping.signal.aborted) this.#grantAll()
  }

  /** When the next permit of that rank can be given: epoch ms, in the past where it can be now. */
  #opensAt(rank: Rank): number {
    // A clock that was set back must not turn ten minutes into hours.
    this.#pausedUntil = Math.min(this.#pausedUntil, this.#clock.now() + LONGEST_PAUSE_MS)
    return Math.max(this.#pausedUntil, this.#countOpensAt(rank))
  }

  #countOpensAt(rank: Rank): number {
    const { perMinute, urgentPerMinute } = this.#limits
    if (rank === RANK.urgent) return this.#all.opensAt(urgentPerMinute)
    const all = this.#all.opensAt(perMinute)
    if (rank === RANK.ending) return all
    const share = Math.max(Math.floor(perMinute * SHARE_OF_OTHERS), 1)
    const own = rank === RANK.warning ? share : Math.max(Math.floor(share * SHARE_OF_SWEEPS), 1)
    const others = Math.max(all, this.#others.opensAt(own))
    return rank === RANK.confirmation
      ? Math.min(others, this.#all.opensAt(Math.floor(perMinute * QUIET)))
      : others
  }

  #permit(rank: Rank): Permit {
    const forUrgentOnly = this.#all.used >= this.#limits.perMinute
    const counts = rank > RANK.ending ? [this.#all, this.#others] : [this.#all]
    for (const count of counts) count.hold()
    let open = true
    const close = (how: (count: Count) => void) => {
      if (!open) return
      open = false
      counts.forEach(how)
      this.#grantAll()
    }
    return {
      forUrgentOnly,
      spend: () => close((count) => count.spend()),
      giveBack: () => close((count) => count.release()),
    }
  }
}
