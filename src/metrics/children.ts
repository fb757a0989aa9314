import type { Counter, Histogram } from 'prom-client'

/** What is counted or measured under one value for each label. */
class Children<T> {
  readonly #make: (...values: string[]) => T
  readonly #made = new Map<string, T>()

  constructor(make: (...values: string[]) => T) {
    this.#make = make
  }

  /** Made at the first use and kept: finding a child by its labels costs as much as counting. */
  of(...values: string[]): T {
    const name = values.length === 1 ? (values[0] as string) : values.join('\n')
    let child = this.#made.get(name)
    if (child === undefined) {
      child = this.#make(...values)
      this.#made.set(name, child)
    }
    return child
  }
}

export function counterOf(counter: Counter): Children<Counter.Internal> {
  return new Children((...values) => counter.labels(...values))
}

export function histogramOf(histogram: Histogram): Children<Histogram.Internal<string>> {
  return new Children((...values) => histogram.labels(...values))
}
