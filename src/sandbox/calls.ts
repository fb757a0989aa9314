export type Operation = 'end' | 'session' | 'sessions' | 'room-sessions' | 'chat' | 'webhooks' | 'other'

export interface Call {
  /** Epoch ms. */
  at: number
  method: string
  /** With the query. */
  path: string
  operation: Operation
  session?: string
  /** As the caller wrote it: an id or a friendly URL. */
  room?: string
  /** What was answered; 0 where nothing was: reset, hanging, or not yet. */
  status: number
  /** Never credentials. */
  headers?: { traceparent: string }
}

/** Every call that reached the API, for tests to look at and to wait for. */
export class CallLog {
  readonly calls: Call[] = []
  readonly #recorded = new WeakSet<Call>()
  readonly #listeners = new Set<(call: Call) => void>()
  readonly #waiting = new Set<() => void>()

  /** A call whose answer is held back is recorded twice: with 0 as soon as it waits, then with what it was answered. */
  record(call: Call, status: number): void {
    call.status = status
    if (!this.#recorded.has(call)) {
      this.#recorded.add(call)
      this.calls.push(call)
      for (const listener of this.#listeners) listener(call)
    }
    for (const look of this.#waiting) look()
  }

  clear(): void {
    this.calls.length = 0
  }

  onCall(listener: (call: Call) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Resolves as soon as there are that many calls, or the predicate holds of all calls so far. */
  waitFor(wanted: number | ((calls: readonly Call[]) => boolean)): Promise<void> {
    const isThere = typeof wanted === 'number' ? () => this.calls.length >= wanted : () => wanted(this.calls)
    return new Promise((resolve) => {
      const look = () => {
        if (!isThere()) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }
}
