import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Logger } from 'pino'
import { sleepUntil } from '../clock.ts'
import type { Ledger } from '../storage/ledger.ts'
import type { EndingRow } from '../storage/schema.ts'

// Each keeps a connection and its request, some 40 KB; as many as this are 20 MB. One caller may have half of it.
const MOST_WAITING = 500
const MOST_OF_ONE = MOST_WAITING / 2
// Another replica may be the one that ends it, and its word may be lost.
const LOOK_EVERY_MS = 500
const TOLD_EVERY_MS = 5000

interface Waiter {
  ending: EndingRow
  done: () => void
}

/** Callers who would rather wait until what they asked for is over. One look for all of them, and none on SQLite. */
class Waiting {
  readonly #ledger: Ledger
  readonly #log: Pick<Logger, 'warn'>
  readonly #looks: boolean
  readonly #stopping = new AbortController()
  readonly #waiters = new Map<string, Set<Waiter>>()
  readonly #ofCaller = new Map<string, number>()
  #count = 0
  #looking = false
  #toldAt = Number.NEGATIVE_INFINITY

  /** `looks`: whether other processes, too, finish endings. */
  constructor(ledger: Ledger, log: Pick<Logger, 'warn'>, looks: boolean) {
    this.#ledger = ledger
    this.#log = log
    this.#looks = looks
    ledger.news.onFinished((ending) => this.#finished(ending))
    ledger.signals.onSignal((signal) => {
      if (signal.is === 'finished') void this.#lookNow(signal.ids)
    })
  }

  /** how many wait just now */
  get count(): number {
    return this.#count
  }

  /**
   * The ending as it is once it is over, or after `ms`, or when the caller has gone or the service stops; undefined, at
   * once, where too many wait already.
   */
  until({ raw, caller }: FastifyRequest, ending: EndingRow, ms: number): Promise<EndingRow> | undefined {
    if (ending.state !== 'pending' || this.#stopping.signal.aborted) return Promise.resolve(ending)
    const ofCaller = this.#ofCaller.get(caller.name) ?? 0
    if (this.#count >= MOST_WAITING || ofCaller >= MOST_OF_ONE) return undefined
    return this.#wait(raw, caller.name, ending, this.#ledger.clock.now() + ms)
  }

  async #wait(
    raw: FastifyRequest['raw'],
    caller: string,
    ending: EndingRow,
    until: number,
  ): Promise<EndingRow> {
    const over = new AbortController()
    const waiter: Waiter = { ending, done: () => over.abort() }
    const others = this.#waiters.get(ending.id) ?? new Set()
    this.#waiters.set(ending.id, others.add(waiter))
    this.#count += 1
    this.#ofCaller.set(caller, (this.#ofCaller.get(caller) ?? 0) + 1)
    raw.socket.once('close', waiter.done)
    if (this.#looks && !this.#looking) void this.#look()
    this.#tellOthers()
    try {
      await sleepUntil(this.#ledger.clock, until, over.signal)
      return waiter.ending
    } finally {
      raw.socket.off('close', waiter.done)
      others.delete(waiter)
      if (others.size === 0) this.#waiters.delete(ending.id)
      this.#count -= 1
      this.#ofCaller.set(caller, (this.#ofCaller.get(caller) ?? 0) - 1)
    }
  }

  /** Lets everybody go with what is known. */
  stop(): void {
    this.#stopping.abort()
    for (const waiters of this.#waiters.values()) for (const { done } of waiters) done()
  }

  #finished(ending: EndingRow): void {
    for (const waiter of this.#waiters.get(ending.id) ?? []) {
      waiter.ending = ending
      waiter.done()
    }
  }

  async #look(): Promise<void> {
    this.#looking = true
    while (this.#waiters.size > 0 && !this.#stopping.signal.aborted) {
      await this.#ledger.clock.sleep(LOOK_EVERY_MS, this.#stopping.signal)
      await this.#lookNow([...this.#waiters.keys()])
      this.#tellOthers()
    }
    this.#looking = false
  }

  async #lookNow(ids: string[]): Promise<void> {
    const waitedFor = ids.filter((id) => this.#waiters.has(id))
    if (waitedFor.length === 0) return
    try {
      for (const ending of await this.#ledger.finishedAmong(waitedFor)) this.#finished(ending)
    } catch (error) {
      this.#log.warn({ err: error }, 'waiting.not_looked')
    }
  }

  /** Others say what they finish for as long as somebody waits here. */
  #tellOthers(): void {
    const now = this.#ledger.clock.now()
    if (this.#waiters.size === 0 || Math.abs(now - this.#toldAt) < TOLD_EVERY_MS) return
    this.#toldAt = now
    this.#ledger.signals.send({ is: 'waiting', until: now + 2 * TOLD_EVERY_MS })
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    waiting: Waiting
  }
}

export default fp(async function waiting(app) {
  const waiting = new Waiting(app.ledger, app.log as Logger, app.database.engine !== 'sqlite')
  app.decorate('waiting', waiting)
  app.addHook('preClose', async () => waiting.stop())
})
