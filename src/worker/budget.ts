import { type Clock, sleepUntil } from '../clock.ts'

/** Who goes first when calls are short; within a rank the earlier `at` (epoch ms) does. */
export const RANK = { urgent: 0, ending: 1, warning: 2, sweep: 3 } as const
export interface Priority {
  rank: number
  at: number
}

/** The right to make one call. It counts against the budget until it is given back unused. */
export interface Permit {
  /** The call leaves now. */
  spend(): void
  giveBack(): void
}

/** How many calls may leave, and which of those that wait goes first. */
export interface CallBudget {
  /** Waits for a permit; undefined where `signal` aborted first. */
  take(priority: Priority, signal: AbortSignal): Promise<Permit | undefined>
  /** A permit if one is free this moment and nobody waits for it. */
  takeAtOnce(): Permit | undefined
  /** No permit before `until` (epoch ms). Never shortens a pause. */
  pause(until: number): void
  /** How many calls could leave now if nothing paused them. */
  left(): number
}

/**
 * The far side counts calls in minutes that begin when it likes, so at most `perMinute` in *any* 60 seconds is what
 * keeps to all of them; the 61st second is for calls that take longer on the way than the ones before them.
 */
export const WINDOW_MS = 61_000
/** The longest anybody is believed who asks to be left alone. */
export const LONGEST_PAUSE_MS = 10 * 60_000

interface Waiter extends Priority {
  grant: (permit: Permit | undefined) => void
}

/** The budget of a single process: a sliding count, with no pacing below it. What is due now goes now. */
export class SlidingBudget implements CallBudget {
  readonly #clock: Clock
  readonly #perMinute: number
  #spent: number[]
  #held = 0
  #pausedUntil = 0
  #waiters: Waiter[] = []
  #sleeping: AbortController | undefined

  /** `spent`: when calls of the last minute left (epoch ms, ascending), for a process that is not the first. */
  constructor(clock: Clock, perMinute: number, spent: number[] = []) {
    this.#clock = clock
    this.#perMinute = perMinute
    this.#spent = spent
  }

  take(priority: Priority, signal: AbortSignal): Promise<Permit | undefined> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve(undefined)
      const giveUp = () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter)
        resolve(undefined)
      }
      const grant = (permit: Permit | undefined) => {
        signal.removeEventListener('abort', giveUp)
        resolve(permit)
      }
      const waiter: Waiter = { ...priority, grant }
      signal.addEventListener('abort', giveUp, { once: true })
      this.#enqueue(waiter)
      this.#grantAll()
    })
  }

  takeAtOnce(): Permit | undefined {
    return this.#waiters.length === 0 && this.#opensAt() <= this.#clock.now() ? this.#permit() : undefined
  }

  pause(until: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, until)
    this.#grantAll()
  }

  left(): number {
    this.#forget()
    return Math.max(this.#perMinute - this.#spent.length - this.#held, 0)
  }

  // Behind its equals: who came first goes first.
  #enqueue(waiter: Waiter): void {
    const behind = this.#waiters.findIndex(
      ({ rank, at }) => rank > waiter.rank || (rank === waiter.rank && at > waiter.at),
    )
    this.#waiters.splice(behind === -1 ? this.#waiters.length : behind, 0, waiter)
  }

  #grantAll(): void {
    while (this.#waiters.length > 0 && this.#opensAt() <= this.#clock.now()) {
      this.#waiters.shift()?.grant(this.#permit())
    }
    this.#sleeping?.abort()
    this.#sleeping = undefined
    const opensAt = this.#opensAt()
    // Where every permit is held and none spent, the one that is spent or given back opens it.
    if (this.#waiters.length > 0 && Number.isFinite(opensAt)) void this.#grantLater(opensAt)
  }

  async #grantLater(at: number): Promise<void> {
    const sleeping = new AbortController()
    this.#sleeping = sleeping
    await sleepUntil(this.#clock, at, sleeping.signal)
    if (!sleeping.signal.aborted) this.#grantAll()
  }

  /** When the next permit can be given: epoch ms, in the past where it can be now. */
  #opensAt(): number {
    this.#forget()
    const now = this.#clock.now()
    // A clock that was set back must not turn ten minutes into hours.
    this.#pausedUntil = Math.min(this.#pausedUntil, now + LONGEST_PAUSE_MS)
    if (this.#spent.length + this.#held < this.#perMinute) return this.#pausedUntil
    const oldest = this.#spent[0]
    return oldest === undefined ? Number.POSITIVE_INFINITY : Math.max(this.#pausedUntil, oldest + WINDOW_MS)
  }

  #forget(): void {
    const now = this.#clock.now()
    if ((this.#spent.at(-1) ?? 0) > now) this.#spent = this.#spent.map((at) => Math.min(at, now))
    const kept = this.#spent.findIndex((at) => at + WINDOW_MS > now)
    if (kept !== 0) this.#spent = kept === -1 ? [] : this.#spent.slice(kept)
  }

  #permit(): Permit {
    this.#held += 1
    let open = true
    const close = () => {
      if (!open) return false
      open = false
      this.#held -= 1
      return true
    }
    return {
      spend: () => {
        if (close()) this.#spent.push(this.#clock.now())
        this.#grantAll()
      },
      giveBack: () => {
        if (close()) this.#grantAll()
      },
    }
  }
}
