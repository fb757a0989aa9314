import { type Clock, sleepUntil } from '../clock.ts'

/** When to look again (epoch ms; undefined where nothing is to come), or at once. */
export type Next = number | undefined | 'at once'

export interface LoopOptions {
  clock: Clock
  /** what went wrong, as far as it is not because it is told to stop */
  onTrouble: (error: unknown) => void
  /** how many pieces of work may be under way; no more turns until one is done */
  mostAtOnce?: number
  /** ms; only a safety net: whoever makes work says when it is due */
  lookAgainMs?: number
}

const LOOK_AGAIN_MS = 10_000
// After trouble it tries again soon, since most of it is over in a moment, and less and less often.
const AFTER_TROUBLE_MS = { first: 50, most: 1000 }

// Making an AbortSignal's own reason costs as much as a statement, for its stack is taken down.
const WOKEN = new Error('woken')
const STOPPING = new Error('stopping')

/** What is done when its time comes, in turns, with a few pieces of work under way, until it is told to stop. */
export class Loop {
  readonly #clock: Clock
  readonly #onTrouble: (error: unknown) => void
  readonly #mostAtOnce: number
  readonly #lookAgainMs: number
  readonly #running = new Set<Promise<void>>()
  readonly #stopping = new AbortController()
  #wake = new AbortController()
  /** Work for later than this (epoch ms) need not wake it: it is up by then. Finite only while it sleeps. */
  #sleepsUntil = Number.POSITIVE_INFINITY
  #turns: Promise<void> | undefined

  constructor({
    clock,
    onTrouble,
    mostAtOnce = Number.POSITIVE_INFINITY,
    lookAgainMs = LOOK_AGAIN_MS,
  }: LoopOptions) {
    this.#clock = clock
    this.#onTrouble = onTrouble
    this.#mostAtOnce = mostAtOnce
    this.#lookAgainMs = lookAgainMs
  }

  /** Aborts when the work is to be cut short. */
  get stopping(): AbortSignal {
    return this.#stopping.signal
  }

  /** Aborts when this turn is to be taken anew, for something has changed. */
  get woken(): AbortSignal {
    return this.#wake.signal
  }

  /** Whether it has looked, found nothing that is due, and has not been woken since. */
  get isAsleep(): boolean {
    return this.#clock.now() < this.#sleepsUntil && Number.isFinite(this.#sleepsUntil) && !this.woken.aborted
  }

  /** Calls `turn` until it is told to stop: whenever the time has come that it returned, or somebody woke it. */
  start(turn: () => Promise<Next>): void {
    this.#turns = this.#run(turn)
  }

  wake(): void {
    if (!this.#wake.signal.aborted) this.#wake.abort(WOKEN)
  }

  /** There is something to do at `at` (epoch ms). */
  wakeFor(at: number): void {
    if (at < this.#sleepsUntil) this.wake()
  }

  /** A piece of work that goes on by itself. */
  begin(work: Promise<void>): void {
    const running = work.catch((error) => this.#trouble(error)).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** How many pieces of work are under way. */
  get running(): number {
    return this.#running.size
  }

  /** No more turns; resolves when the last one and all that is under way are over. */
  async stop(): Promise<void> {
    this.#stopping.abort(STOPPING)
    this.wake()
    await this.#turns
    await Promise.all(this.#running)
  }

  async #run(turn: () => Promise<Next>): Promise<void> {
    let afterTrouble = AFTER_TROUBLE_MS.first
    while (!this.stopping.aborted) {
      this.#wake = new AbortController()
      // The stop may have come in between, and it wakes nobody twice.
      if (this.stopping.aborted) return
      if (this.#running.size >= this.#mostAtOnce) {
        await Promise.race(this.#running)
        continue
      }
      try {
        const next = await turn()
        afterTrouble = AFTER_TROUBLE_MS.first
        if (next !== 'at once') await this.#sleep(next)
      } catch (error) {
        this.#trouble(error)
        await this.#clock.sleep(afterTrouble, this.stopping)
        afterTrouble = Math.min(afterTrouble * 2, AFTER_TROUBLE_MS.most)
      }
    }
  }

  async #sleep(next: number | undefined): Promise<void> {
    const lookAgain = this.#clock.now() + this.#lookAgainMs
    this.#sleepsUntil = Math.min(next ?? lookAgain, lookAgain)
    if (!this.stopping.aborted) await sleepUntil(this.#clock, this.#sleepsUntil, this.#wake.signal)
    this.#sleepsUntil = Number.POSITIVE_INFINITY
  }

  #trouble(error: unknown): void {
    if (!this.stopping.aborted) this.#onTrouble(error)
  }
}
