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
