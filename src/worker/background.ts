import type { Logger } from 'pino'
import { CallsHeldError } from '../calls/gate.ts'
import { type Clock, sleepUntil } from '../clock.ts'

/** When to look again (epoch ms; undefined where nothing is to come), or at once. */
export type Next = number | undefined | 'at once'

export interface BackgroundOptions {
  clock: Clock
  log: Logger
  /** `NAME.trouble` is what the log says where something goes wrong */
  name: string
  /** how many pieces of work may be under way */
  mostAtOnce: number
}

// Only a safety net: whoever makes work says when it is due.
const LOOK_AGAIN_MS = 10_000
const AFTER_TROUBLE_MS = 1000

/** Work beside the main one, done when its time comes, a few pieces at once, until it is told to stop. */
export class Background {
  readonly #options: BackgroundOptions
  readonly #running = new Set<Promise<void>>()
  readonly #stopping = new AbortController()
  #wake = new AbortController()
  #sleepsUntil = Number.POSITIVE_INFINITY
  #loop: Promise<void> | undefined

  constructor(options: BackgroundOptions) {
    this.#options = options
  }

  /** Aborts when the work is to be cut short. */
  get stopping(): AbortSignal {
    return this.#stopping.signal
  }

  /** Calls `turn` until it is told to stop: whenever the time has come that it returned, or somebody woke it. */
  start(turn: () => Promise<Next>): void {
    this.#loop = this.#run(turn)
  }

  /** There is something to do at `at` (epoch ms). */
  wakeFor(at: number): void {
    if (at < this.#sleepsUntil) this.#wake.abort()
  }

  /** A piece of work that goes on by itself. */
  begin(work: Promise<void>): void {
    const running = work.catch((error) => this.#trouble(error)).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#wake.abort()
    await this.#loop
    await Promise.all(this.#running)
  }

  async #run(turn: () => Promise<Next>): Promise<void> {
    const { clock, mostAtOnce } = this.#options
    while (!this.stopping.aborted) {
      this.#wake = new AbortController()
      if (this.#running.size >= mostAtOnce) {
        await Promise.race(this.#running)
        continue
      }
      try {
        const next = await turn()
        if (next !== 'at once') await this.#sleep(next)
      } catch (error) {
        this.#trouble(error)
        await clock.sleep(AFTER_TROUBLE_MS, this.stopping)
      }
    }
  }

  async #sleep(next: number | undefined): Promise<void> {
    const { clock } = this.#options
    const lookAgain = clock.now() + LOOK_AGAIN_MS
    this.#sleepsUntil = Math.min(next ?? lookAgain, lookAgain)
    if (!this.stopping.aborted) await sleepUntil(clock, this.#sleepsUntil, this.#wake.signal)
    this.#sleepsUntil = Number.POSITIVE_INFINITY
  }

  // That no call may leave is nobody's fault, and has its own line; what is cut short at the end is no trouble.
  #trouble(error: unknown): void {
    const { log, name } = this.#options
    if (!(error instanceof CallsHeldError) && !this.stopping.aborted)
      log.error({ err: error }, `${name}.trouble`)
  }
}
