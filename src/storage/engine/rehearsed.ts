import type { Db } from '../schema.ts'
import type { Batched, Commits, Work } from './group-commit.ts'

/**
 * Does the very same work, and undoes it: each in a transaction of its own that ends in a rollback, so that the ledger is
 * afterwards what it was before.
 */
export class Rehearsed implements Commits {
  readonly #db: Db
  readonly #verify: () => void

  /** On PostgreSQL `db` is none of the connections that real writes wait for. `verify`: see `GroupCommit`. */
  constructor(db: Db, verify: () => void) {
    this.#db = db
    this.#verify = verify
  }

  async run<T>(work: Work<T>): Promise<T> {
    const trx = await this.#db.startTransaction().execute()
    try {
      const done = await work(trx)
      this.#verify()
      return done
    } finally {
      // Where the connection broke, PostgreSQL undoes it by itself; what broke it is the error that is reported.
      await trx.rollback().execute().catch(ignore)
    }
  }

  async add<I, O>(work: Batched<I, O>, item: I): Promise<O> {
    const [answer] = await this.run((trx) => work.run(trx, [item]))
    return answer as O
  }
}

function ignore(): void {}
