// So that nobody waits for long behind the others of a batch.
const LARGEST_BATCH = 200

interface Batch<I, O> {
  items: I[]
  waiting: Array<{ resolve: (answer: O) => void; reject: (error: unknown) => void }>
}

/**
 * Lets things that arrive together be done by one piece of work. `work` gets a function that closes the batch and
 * returns its items, the same ones however often it is called; it answers for them in their order. Where a batch is
 * refused, each of its items is done by itself, so that one's violation is not another's.
 */
export class Together<I, O> {
  readonly #work: (take: () => I[]) => Promise<O[]>
  readonly #isRefusal: (error: unknown) => boolean
  #open: Batch<I, O> | undefined

  constructor(work: (take: () => I[]) => Promise<O[]>, isRefusal: (error: unknown) => boolean) {
    this.#work = work
    this.#isRefusal = isRefusal
  }

  add(item: I): Promise<O> {
    return new Promise((resolve, reject) => {
      const batch = this.#open ?? this.#begin()
      batch.items.push(item)
      batch.waiting.push({ resolve, reject })
      if (batch.items.length === LARGEST_BATCH) this.#open = undefined
    })
  }

  #begin(): Batch<I, O> {
    const batch: Batch<I, O> = { items: [], waiting: [] }
    this.#open = batch
    const take = () => {
      if (this.#open === batch) this.#open = undefined
      return batch.items
    }
    this.#work(take).then(
      (answers) => batch.waiting.forEach(({ resolve }, i) => void resolve(answers[i] as O)),
      (error) => {
        // Where the work could not even begin, nobody has closed the batch.
        take()
        this.#refused(batch, error)
      },
    )
    return batch
  }

  #refused({ items, waiting }: Batch<I, O>, error: unknown): void {
    if (items.length === 1 || !this.#isRefusal(error)) for (const { reject } of waiting) reject(error)
    else
      for (const [i, { resolve, reject }] of waiting.entries())
        this.#work(() => [items[i] as I]).then(([answer]) => resolve(answer as O), reject)
  }
}
