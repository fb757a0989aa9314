import { setImmediate as nextTurn } from 'node:timers/promises'

/**
 * Long work in short pieces: after `most` units of it everybody else has a turn of the event loop, so that one
 * caller's thousand events are not everybody's wait.
 */
export class Turns {
  readonly #most: number
  #done = 0

  constructor(most: number) {
    this.#most = most
  }

  async spend(units = 1): Promise<void> {
    this.#done += units
    if (this.#done < this.#most) return
    this.#done = 0
    await nextTurn()
  }
}

/** A long list in pieces of `size`, between which everybody else has a turn. */
export async function* inPieces<T>(list: T[], size = 100): AsyncGenerator<T[]> {
  for (let from = 0; from < list.length; from += size) {
    if (from > 0) await nextTurn()
    yield list.slice(from, from + size)
  }
}

/** Pieces of work that each take some ms: one in each turn of the event loop, in the order in which they came. */
export class Line {
  #last: Promise<unknown> = Promise.resolve()

  next(): Promise<unknown> {
    this.#last = this.#last.then(() => nextTurn())
    return this.#last
  }
}
