import { EventEmitter } from 'node:events'
import type { Clock } from '../../clock.ts'
import type { EndingRow } from '../schema.ts'

const LOOK_AGAIN_MS = 50
const CHANGED = new Error('something has changed')

/**
 * What is new about an ending that is announced, where its row does not say so: it is a new one (`stored`), or it has
 * been in this state for a while (`known`). Absent: it has come into the state that it is in.
 */
export type WhatIsNew = 'stored' | 'known'

/** Who is told that endings were stored or changed, once that is committed. Times are epoch ms. */
export class News {
  readonly #clock: Clock
  readonly #events = new EventEmitter().setMaxListeners(0)

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Tells whoever waits for it that an ending was stored or changed. */
  announce(ending: EndingRow, what?: WhatIsNew): void {
    this.#events.emit(`changed:${ending.requested_by}`)
    if (what !== 'stored') this.toTell(ending.requested_by)
    if (what === 'stored') this.#events.emit('stored', ending)
    if (ending.warn_at !== null) this.#events.emit('warning', ending.warn_at)
    if (ending.confirm_at !== null) this.#events.emit('unconfirmed', ending.confirm_at)
    if (ending.state !== 'pending') this.#events.emit('finished', ending, what !== 'known')
    // Whoever has claimed it carries it out.
    else if (ending.claimed_until === null) this.work(ending.next_attempt_at)
  }

  /** Some ending is to be looked at then. */
  work(at: number): void {
    this.#events.emit('work', at)
  }

  /** There may be something to tell this caller of. */
  toTell(caller: string): void {
    this.#events.emit(`tell:${caller}`)
  }

  /** Tells `listener` when there may be something to tell a caller of. */
  onToTell(caller: string, listener: () => void): void {
    this.#events.on(`tell:${caller}`, listener)
  }

  /** Tells `listener` when an ending that was stored or changed is to be looked at. */
  onWork(listener: (at: number) => void): void {
    this.#events.on('work', listener)
  }

  /** Tells `listener` when the next warning of an ending is due. */
  onWarning(listener: (at: number) => void): void {
    this.#events.on('warning', listener)
  }

  /** Tells `listener` when the session of an ending is to be looked up. */
  onUnconfirmed(listener: (at: number) => void): void {
    this.#events.on('unconfirmed', listener)
  }

  /** Tells `listener` of each ending that this process has stored anew. */
  onStored(listener: (ending: EndingRow) => void): void {
    this.#events.on('stored', listener)
  }

  /**
   * Tells `listener` of each ending that this process has seen finish, and again, with `isNew` false, where more is
   * known of one that had finished before.
   */
  onFinished(listener: (ending: EndingRow, isNew: boolean) => void): void {
    this.#events.on('finished', listener)
  }

  /** Tries until something comes of it, for `mostMs` at most: again whenever an ending of that party has changed. */
  async whileInProgress<T>(
    party: string,
    mostMs: number,
    attempt: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const until = this.#clock.now() + mostMs
    for (;;) {
      // Listens before the attempt, so that what changes right after it is not missed.
      let isChanged = false
      let waiting: AbortController | undefined
      const onChange = () => {
        isChanged = true
        waiting?.abort(CHANGED)
      }
      this.#events.once(`changed:${party}`, onChange)
      try {
        const done = await attempt()
        if (done !== undefined || this.#clock.now() >= until) return done
        if (isChanged) continue
        waiting = new AbortController()
        // In a moment in any case: another replica's may have changed.
        await this.#clock.sleep(LOOK_AGAIN_MS, waiting.signal)
      } finally {
        this.#events.off(`changed:${party}`, onChange)
      }
    }
  }
}
