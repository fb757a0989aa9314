import type { ControlledTransaction } from 'kysely'
import type { Db, Tables, Trx } from './schema.ts'

type Work<T> = (trx: Trx) => Promise<T>

interface Waiting {
  work: Work<unknown>
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
}

// So that one commit never keeps the event loop, or a connection, for long.
const LARGEST_BATCH = 200

/**
 * Lets writes that arrive together share one commit: one fsync instead of many. Everybody is answered after COMMIT.
 *
 * A batch runs straight through first. Where one of it throws, it is rolled back and run again with a savepoint
 * around each, so that one's violation is not another's. Work may therefore run twice and must do nothing but SQL.
 */
export class Commits {
  readonly #db: Db
  #waiting: Waiting[] = []
  #running = false

  constructor(db: Db) {
    this.#db = db
  }

  /** Resolves with what `work` returned once it is committed; rejects with what it threw, or why it was not committed. */
  run<T>(work: Work<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as (value: unknown) => void, reject })
      if (this.#running) return
      this.#running = true
      // After the sockets that are readable now have been read: their requests share this commit.
      setImmediate(() => void this.#drain())
    })
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) await this.#commit(this.#waiting.splice(0, LARGEST_BATCH))
    this.#running = false
  }

  async #commit(batch: Waiting[]): Promise<void> {
    try {
      const settle = (await this.#attempt(batch, straight)) ?? (await this.#attempt(batch, withSavepoints))
      settle?.()
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }

  /**
   * One transaction. Returns what to tell everybody after its COMMIT; undefined where one of the batch threw and
   * everything was rolled back. Throws where it could not begin or its COMMIT failed: then nothing is known.
   */
  async #attempt(batch: Waiting[], runAll: typeof straight): Promise<(() => void) | undefined> {
    const trx = await this.#db.startTransaction().execute()
    try {
      const tell = await runAll(trx, batch)
      if (tell) await trx.commit().execute()
      else await trx.rollback().execute().catch(ignore)
      return tell
    } catch (error) {
      if (!trx.isCommitted && !trx.isRolledBack) await trx.rollback().execute().catch(ignore)
      throw error
    }
  }
}

type Open = ControlledTransaction<Tables>

async function straight(trx: Open, batch: Waiting[]): Promise<(() => void) | undefined> {
  const told: Array<() => void> = []
  for (const { work, resolve } of batch) {
    try {
      const value = await work(trx)
      told.push(() => resolve(value))
    } catch {
      return undefined
    }
  }
  return () => told.forEach((tell) => void tell())
}

async function withSavepoints(trx: Open, batch: Waiting[]): Promise<() => void> {
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
  return () => told.forEach((tell) => void tell())
}

// The rollback of a transaction whose connection broke: the error that broke it is the one that is reported.
function ignore(): void {}
