import type { FastifyRateLimitStore } from '@fastify/rate-limit'
import type { Clock } from '../clock.ts'

interface Count {
  current: number
  since: number
  until: number
}

type Counted = Parameters<FastifyRateLimitStore['incr']>[1]

/**
 * How much whoever is counted has done in a window that begins with the first of it. The library's own store reads the
 * system's clock: one that is set back an hour would keep a caller out for that hour. Here a window begins anew then.
 */
export function countersBy(clock: Clock, most: number) {
  return class Counters implements FastifyRateLimitStore {
    readonly #counts = new Map<string, Count>()

    incr(key: string, done: Counted, windowMs: number): void {
      const now = clock.now()
      let count = this.#counts.get(key)
      if (!count || now >= count.until || now < count.since) {
        count = { current: 0, since: now, until: now + windowMs }
        // Set anew, the key is the newest: the oldest windows go first where there are too many.
        this.#counts.delete(key)
        if (this.#counts.size >= most) forgetOldest(this.#counts)
        this.#counts.set(key, count)
      }
      count.current += 1
      done(null, { current: count.current, ttl: count.until - now })
    }

    child(): Counters {
      return new Counters()
    }
  }
}

export function forgetOldest(map: Map<string, unknown>): void {
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}
