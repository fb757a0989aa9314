import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../../src/clock.ts'

/** Whether something is being put on the disk: that takes no time of a manual clock. */
export const isSyncing = () => process.getActiveResourcesInfo().includes('FSReqCallback')

async function settled(): Promise<void> {
  do await nextTurn()
  while (isSyncing())
}

interface Sleeper {
  at: number
  wake: () => void
}

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #now: number
  readonly #sleepers = new Set<Sleeper>()

  constructor(now: number | string = '2026-11-23T12:00:00Z') {
    this.#now = typeof now === 'string' ? Date.parse(now) : now
  }

  now(): number {
    return this.#now
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted || ms <= 0) return resolve()
      const wake = () => {
        this.#sleepers.delete(sleeper)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      const sleeper = { at: this.#now + ms, wake }
      this.#sleepers.add(sleeper)
      signal?.addEventListener('abort', wake, { once: true })
    })
  }

  /** The earliest instant (epoch ms) somebody sleeps towards. */
  nextWake(): number | undefined {
    let next: number | undefined
    for (const { at } of this.#sleepers) if (next === undefined || at < next) next = at
    return next
  }

  /** Moves to `at`, waking every sleeper at its own instant on the way, with a turn of the event loop after each. */
  async advanceTo(at: number): Promise<void> {
    for (let next = this.nextWake(); next !== undefined && next <= at; next = this.nextWake()) {
      this.#now = Math.max(this.#now, next)
      for (const sleeper of [...this.#sleepers]) if (sleeper.at <= this.#now) sleeper.wake()
      await settled()
    }
    this.#now = Math.max(this.#now, at)
    await settled()
  }

  /** Is at `at` all at once, as a machine that was suspended. */
  async jumpTo(at: number): Promise<void> {
    this.#now = Math.max(this.#now, at)
    await this.advanceTo(at)
  }

  advance(ms: number): Promise<void> {
    return this.advanceTo(this.#now + ms)
  }
}
