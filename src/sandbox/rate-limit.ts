const WINDOW_MS = 60_000

/** The vendor's limit for a whole team: a fixed minute that begins with its first call. */
export class RateLimit {
  #windowStart: number | undefined
  #used = 0

  /** Counts a call at `now` (epoch ms); answers when (epoch ms) to come back if it was one too many. */
  take(now: number, callsPerMinute: number): number | undefined {
    if (this.#windowStart === undefined || now >= this.#windowStart + WINDOW_MS) {
      this.#windowStart = now
      this.#used = 0
    }
    if (this.#used >= callsPerMinute) return this.#windowStart + WINDOW_MS
    this.#used += 1
    return undefined
  }
}
