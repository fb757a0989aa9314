import type { ControlledTransaction } from 'kysely'
import type { Db, Tables, Trx } from '../schema.ts'

type Work<T> = (trx: Trx) => Promise<T>

export interface CommitOptions {
  /** Long work has commits of its own, and between two of them everybody else has one. */
  isLong?: boolean
  /** Work of one commit is done in this order, so that two replicas lock the same rows one after the other. */
  order?: string
}

interface Waiting {
  work: Work<unknown>
  order: string
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
}

// So that one commit never keeps the event loop, or a connection, for long: as many, and as long (ms).
const LARGEST_BATCH = 200
const LONGEST_BATCH_MS = 20

/**
 * Lets writes that arrive together share one commit: one fsync instead of many. Everybody is answered after COMMIT.
 *
 * A batch runs straight through first. Where one of it throws, it is rolled back and run again with a savepoint
 * around each, so that one's violation is not another's. Work may therefore run twice and must do nothing but SQL.
 */
export class Commits {
  readonly #db: Db
  readonly #verify: () => void
  readonly #waiting: Waiting[] = []
  readonly #long: Waiting[] = []
  #running = false

  /** `verify` throws where what would be committed now would not be found again. */
  constructor(db: Db, verify: () => void = () => {}) {
    this.#db = db
    this.#verify = verify
  }

  /** Resolves with what `work` returned once it is committed; rejects with what it threw, or why it was not committed. */
  run<T>(work: Work<T>, { isLong = false, order = '' }: CommitOptions = {}): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const one = { work, order, resolve: resolve as (value: unknown) => void, reject }
      if (isLong) this.#long.push(one)
      else this.#waiting.push(one)
      if (this.#running) return
      this.#running = true
      // After the sockets that are readable now have been read: their requests share this commit.
      setImmediate(() => void this.#drain())
    })
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length + this.#long.length > 0) {
      await this.#commit(this.#waiting)
      await this.#commit(this.#long)
    }
    this.#running = false
  }

  async #commit(queue: Waiting[]): Promise<void> {
    const batch = queue.splice(0, LARGEST_BATCH).sort(byOrder)
    if (batch.length === 0) return
    try {
      const done = (await this.#attempt(batch, straight)) ?? (await this.#attempt(batch, withSavepoints))
      // What there was no time for is first in the next one.
      queue.unshift(...batch.slice(done?.count))
      done?.tell()
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }

  /**
   * One transaction. Returns how many of the batch it had time for, and what to tell them after its COMMIT; undefined
   * where one of the batch threw and everything was rolled back. Throws where it could not begin or its COMMIT failed:
   * then nothing is known.
   */
  async #attempt(batch: Waiting[], runAll: typeof straight): Promise<Done | undefined> {
    const trx = await this.#db.startTransaction().execute()
    try {
      const done = await runAll(trx, batch)
      if (done) {
        this.#verify()
        await trx.commit().execute()
      } else await trx.rollback().execute().catch(ignore)
      return done
    } catch (error) {
      if (!trx.isCommitted && !trx.isRolledBack) await trx.rollback().execute().catch(ignore)
      throw error
    }
  }
}

interface Done {
  count: number
  tell: () => void
}

type Open = ControlledTransaction<Tables>

async function straight(trx: Open, batch: Waiting[]): Promise<Done | undefined> {
  const until = performance.now() + LONGEST_BATCH_MS
  const told: Array<() => void> = []
  for (const { work, resolve } of batch) {
    if (told.length > 0 && performance.now() > until) break
    try {
      const value = await work(trx)
      told.push(() => resolve(value))
    } catch {
      return undefined
    }
  }
  return { count: told.length, tell: () => told.forEach((tell) => void tell()) }
}

async function withSavepoints(trx: Open, batch: Waiting[]): Promise<Done> {
  const told: Array<() => void> = []
  for (const { work, resolve, reject } of batch) {
    const guarded = await trx.savepoint('one').execute()
    try {
      const value = await work(guarded)
      await guarded.releaseSavepoint('one').execute()
      told.push(() => resolve(value))
    } catch (error) {
      await guarded.rollbackToSavepoint('one').execute()
      told.push(() => reject(error))
    }
  }
  return { count: batch.length, tell: () => told.forEach((tell) => void tell()) }
}

function byOrder(a: Waiting, b: Waiting): number {
  if (a.order === b.order) return 0
  return a.order < b.order ? -1 : 1
}

// The rollback of a transaction whose connection broke: the error that broke it is the one that is reported.
function ignore(): void {}
