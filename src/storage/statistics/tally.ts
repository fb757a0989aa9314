import { type Histogram, percentileOf, sizeOf } from '../../lateness.ts'
import { CALL, FINISHED, LATE, MOST } from './names.ts'

/** What was counted, as people ask for it. */
export interface Totals {
  finished: Record<string, number>
  calls: Record<string, number>
  lateness: { count: number; p50Ms: number; p99Ms: number; mostMs: number } | null
}

/** What several processes have counted, or one in several hours, added up. */
export class Tally {
  readonly #finished: Record<string, number> = {}
  readonly #calls: Record<string, number> = {}
  readonly #histogram: Histogram = new Map()
  #most = 0

  /** Goes through them once, and makes nothing new of what it finds: a day has forty thousand. */
  add(counts: Record<string, number>): void {
    for (const name in counts) {
      const count = counts[name] as number
      if (name.startsWith(LATE)) {
        const bucket = Number(name.slice(LATE.length))
        this.#histogram.set(bucket, (this.#histogram.get(bucket) ?? 0) + count)
      } else if (name.startsWith(CALL)) addTo(this.#calls, name.slice(CALL.length), count)
      else if (name.startsWith(FINISHED)) addTo(this.#finished, name.slice(FINISHED.length), count)
      else if (name === MOST) this.#most = Math.max(this.#most, count)
    }
  }

  totals(): Totals {
    return { finished: this.#finished, calls: this.#calls, lateness: this.#lateness() }
  }

  #lateness(): Totals['lateness'] {
    const count = sizeOf(this.#histogram)
    if (count === 0) return null
    const upTo = (part: number) => Math.min(percentileOf(this.#histogram, part), this.#most)
    return { count, p50Ms: upTo(0.5), p99Ms: upTo(0.99), mostMs: this.#most }
  }
}

function addTo(counts: Record<string, number>, name: string, more: number): void {
  counts[name] = (counts[name] ?? 0) + more
}
