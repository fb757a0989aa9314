import { randomUUID } from 'node:crypto'
import type { Client } from 'pg'
import type { Clock } from '../../clock.ts'

/** What one process tells the others on the same database. Whoever misses it finds out by looking, only later. */
export type Signal =
  /** There is more to be done now than this one can take. */
  | { is: 'work' }
  /** What stands in the way of calls has changed. */
  | { is: 'control' }
  /** Somebody waits here, until then (epoch ms), for endings that others may finish. */
  | { is: 'waiting'; until: number }
  | { is: 'finished'; ids: string[] }

/** How processes on one database wake each other. */
export interface Signals {
  /** Tells all others, if it can. */
  send(signal: Signal): void
  /** `listener` is told of what others send, and of `control` and `work` whenever something may have been missed. */
  onSignal(listener: (signal: Signal) => void): void
  close(): Promise<void>
}

export interface ListenerOptions {
  connect: () => Client
  clock: Clock
  /** Sends a payload on another connection than the one that listens. */
  test: (payload: string) => Promise<unknown>
  onError: (error: Error) => void
  /** Told when it has heard that: what is said on one connection, it hears on this one. */
  onHeard: () => void
  /** Told once where the connection is made and nothing is heard on it. */
  onDeaf: () => void
}

export const CHANNEL = 'curfew'
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 5_000
const DEAF_AFTER_MS = 3_000
const CLOSED = new Error('closed')

/**
 * PostgreSQL's LISTEN and NOTIFY, on a connection of its own that is made again whenever it breaks. What is sent goes by
 * that connection too, outside of every transaction: NOTIFY takes a lock of the whole database when it commits.
 */
export class PostgresSignals implements Signals {
  readonly #options: ListenerOptions
  readonly #me = randomUUID()
  readonly #listeners: Array<(signal: Signal) => void> = []
  readonly #closing = new AbortController()
  /** the connection that listens */
  #client: Client | undefined
  #sending: Promise<unknown> = Promise.resolve()
  #isHeard = false
  #isDeaf = false
  readonly #loop: Promise<void>

  constructor(options: ListenerOptions) {
    this.#options = options
    this.#loop = this.#run()
  }

  send(signal: Signal): void {
    const client = this.#client
    this.#notify(signal)?.catch((error) => {
      this.#options.onError(error)
      // A connection that takes no statement hears nothing either: it is made again.
      void client?.end().catch(() => {})
    })
  }

  onSignal(listener: (signal: Signal) => void): void {
    this.#listeners.push(listener)
  }

  async close(): Promise<void> {
    this.#closing.abort(CLOSED)
    await this.#loop
  }

  #payload(signal: Signal | { is: 'heard' }): string {
    return JSON.stringify({ from: this.#me, ...signal })
  }

  #notify(signal: Signal): Promise<unknown> | undefined {
    const client = this.#client
    if (!client) return undefined
    const payload = this.#payload(signal)
    // A connection takes one statement at a time.
    const sent = this.#sending.then(() => client.query('select pg_notify($1, $2)', [CHANNEL, payload]))
    this.#sending = sent.catch(() => {})
    return sent
  }

  async #run(): Promise<void> {
    const { clock, onError } = this.#options
    for (
      let wait = FIRST_WAIT_MS;
      !this.#closing.signal.aborted;
      wait = Math.min(wait * 2, LONGEST_WAIT_MS)
    ) {
      try {
        await this.#listen(() => {
          wait = FIRST_WAIT_MS
        })
      } catch (error) {
        if (!this.#closing.signal.aborted) onError(error as Error)
      }
      this.#client = undefined
      await clock.sleep(wait, this.#closing.signal)
    }
  }

  /** Until the connection breaks, or this is closed. */
  async #listen(onListening: () => void): Promise<void> {
    const client = this.#options.connect()
    const { signal } = this.#closing
    const { promise: over, resolve } = Promise.withResolvers<void>()
    client.once('end', resolve)
    const onClose = () => resolve()
    signal.addEventListener('abort', onClose)
    client.on('error', (error) => this.#options.onError(error))
    client.on('notification', ({ payload }) => this.#heard(payload ?? ''))
    try {
      // Whoever closes does not wait for a server that does not answer.
      await Promise.race([begin(client), over])
      if (signal.aborted) return
      this.#client = client
      this.#sending = Promise.resolve()
      onListening()
      void this.#test()
      // Meanwhile others may have told something.
      for (const is of ['control', 'work'] as const) this.#emit({ is })
      await over
    } finally {
      signal.removeEventListener('abort', onClose)
      // pg settles neither a connect() that end() came before, nor an end() before the server has closed its side.
      const ended = client.end().catch(() => {})
      if (!signal.aborted || this.#client) await ended
    }
  }

  // A pooler in transaction mode takes LISTEN for an answer and hears nothing, but for what is sent on the same connection.
  async #test(): Promise<void> {
    const { clock, test, onDeaf } = this.#options
    this.#isHeard = false
    await test(this.#payload({ is: 'heard' })).catch(() => {})
    await clock.sleep(DEAF_AFTER_MS, this.#closing.signal)
    if (this.#isHeard || this.#isDeaf || !this.#client || this.#closing.signal.aborted) return
    this.#isDeaf = true
    onDeaf()
  }

  #heard(payload: string): void {
    const signal = parse(payload)
    if (!signal) return
    if (signal.from !== this.#me) {
      if (signal.is !== 'heard') this.#emit(signal)
    } else if (signal.is === 'heard') {
      this.#isHeard = true
      this.#options.onHeard()
    }
  }

  #emit(signal: Signal): void {
    for (const listener of this.#listeners) listener(signal)
  }
}

async function begin(client: Client): Promise<void> {
  await client.connect()
  await client.query(`listen ${CHANNEL}`)
}

/** Others may send what they like on a channel; what is not ours is nobody's. */
function parse(payload: string): ((Signal | { is: 'heard' }) & { from: string }) | undefined {
  try {
    const signal = JSON.parse(payload)
    return typeof signal?.from === 'string' && typeof signal.is === 'string' ? signal : undefined
  } catch {
    return undefined
  }
}

/** A process that is alone on its database has nobody to tell. */
export const NOBODY: Signals = { send: () => {}, onSignal: () => {}, close: async () => {} }
