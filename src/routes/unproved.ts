import { Problem } from '../problem.ts'

// A signature is only checked with the body, and anybody can make up one that looks right. Whoever really signs sends
// its kilobytes within milliseconds; others may fill no more than this, and not for long.
const MOST_BODIES = 16
const MOST_BYTES = 8 * 1024 * 1024
export const UNPROVED_WITHIN_MS = 5000

/** What those who have not proved who they are may keep in memory, all of them together. */
export class UnprovedBodies {
  #count = 0
  #bytes = 0

  /** Runs `read` where there is room for another body of so many bytes. */
  async within<T>(bytes: number, read: () => Promise<T>): Promise<T> {
    if (this.#count >= MOST_BODIES || this.#bytes + bytes > MOST_BYTES)
      throw new Problem(
        'busy',
        'too many signed requests are arriving at once; a key is not held up by them',
        {
          headers: { 'retry-after': '1' },
        },
      )
    this.#count += 1
    this.#bytes += bytes
    try {
      return await read()
    } finally {
      this.#count -= 1
      this.#bytes -= bytes
    }
  }
}
