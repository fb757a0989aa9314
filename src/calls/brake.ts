import type { Ledger } from '../storage/ledger.ts'
import { EVERYBODY } from '../storage/pauses.ts'
import type { PausesTable } from '../storage/schema.ts'
import { WINDOW_MS } from './permits.ts'

export type Pause = PausesTable

// A process that has died with what it claimed is known to be dead after a lease.
const LONGEST_WAIT_MS = 20_000
const LOOK_EVERY_MS = 20
// Whoever hears nothing of the others finds out so late that it may go on.
const LOOK_AGAIN_MS = 5_000

/**
 * What operators have stopped: all calls, or those for one caller's endings. It stands in the ledger, where every claim
 * of every process reads it; here is what this process knows of it, which is told to it at once.
 */
export class Brake {
  readonly #ledger: Ledger
  readonly #onChange: () => void
  readonly #onTrouble: (error: unknown) => void
  readonly #stopping = new AbortController()
  #isWatching = false
  #pauses: Pause[] = []
  #callers: string[] = []

  constructor(ledger: Ledger, onChange: () => void, onTrouble: (error: unknown) => void) {
    this.#ledger = ledger
    this.#onChange = onChange
    this.#onTrouble = onTrouble
  }

  /** Takes up what stands in the ledger. */
  async reload(): Promise<void> {
    const before = this.#pauses
    const pauses = await this.#ledger.pauses()
    this.#pauses = pauses
    this.#callers = pauses.map(({ caller }) => caller).filter((caller) => caller !== EVERYBODY)
    const isSame =
      pauses.length === before.length && pauses.every((one, i) => one.caller === before[i]?.caller)
    if (!isSame) this.#onChange()
    if (pauses.length > 0 && !this.#isWatching) void this.#watch()
  }

  stop(): void {
    this.#stopping.abort()
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stopping
    this.#isWatching = true
    while (this.#pauses.length > 0 && !signal.aborted) {
      await this.#ledger.clock.sleep(LOOK_AGAIN_MS, signal)
      // A database that is away says nothing; it is asked again.
      if (!signal.aborted) await this.reload().catch(this.#onTrouble)
    }
    this.#isWatching = false
  }

  get pauses(): readonly Pause[] {
    return this.#pauses
  }

  /** The pause of everything. */
  get ofAll(): Pause | undefined {
    return this.#pauses.find(({ caller }) => caller === EVERYBODY)
  }

  /** Those of whom nothing is carried out. */
  get callers(): string[] {
    return this.#callers
  }

  isOn(caller: string): boolean {
    return this.#pauses.length > 0 && (this.ofAll !== undefined || this.#callers.includes(caller))
  }

  /**
   * Stops the calls of all processes, for everybody or for one caller. `isStill` says whether no call is on its way any
   * more; it is false where that could not be seen within some twenty seconds.
   */
  async pause(pause: Omit<Pause, 'since'>): Promise<{ pause: Pause; isStill: boolean }> {
    const set = await this.#ledger.pause(pause)
    await this.reload()
    const { clock } = this.#ledger
    const until = clock.now() + LONGEST_WAIT_MS
    while (await this.#ledger.isCalling(pause.caller, WINDOW_MS)) {
      if (clock.now() >= until) return { pause: set, isStill: false }
      await clock.sleep(LOOK_EVERY_MS)
    }
    return { pause: set, isStill: true }
  }

  /** Lets calls leave again; undefined where they were not paused. */
  async resume(caller: string): Promise<Pause | undefined> {
    const ended = await this.#ledger.resume(caller)
    await this.reload()
    return ended
  }
}
