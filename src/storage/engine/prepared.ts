import type pg from 'pg'
import { nameOfStatement } from './compiled.ts'
import { isRefusedName } from './errors.ts'

// A plan that is made while a table is small takes any index for as good as the right one, and is kept until the table is
// analyzed, when it may have grown by a hundred thousand rows. From so many rows on the right one is seen to be cheaper.
export const LARGE_ROWS = 5000
// Whoever executes so many statements without names has stored a hundred rows since, or several thousand under load.
const LOOK_AFTER = 500

/**
 * PostgreSQL plans a statement each time it is executed, which takes longer than executing one of ours. A statement with a
 * name is planned once on each connection. Names are for connections of our own, `allow` says that these are, and for a
 * ledger that is large enough for plans to be kept (`isLarge`); `onGrown` is told when it may be, and says so. Where
 * PostgreSQL refuses a name all the same, its statement is executed without, and so are all others from then on.
 */
export class Prepared {
  readonly #onGrown: () => void
  #isAllowed = false
  #isRefused = false
  #unnamed = 0
  isLarge = false

  constructor(onGrown: () => void) {
    this.#onGrown = onGrown
  }

  allow(): void {
    this.#isAllowed = true
  }

  nameOf(text: unknown): string | undefined {
    if (!this.#isAllowed || this.#isRefused || typeof text !== 'string') return undefined
    const name = nameOfStatement(text)
    if (this.isLarge || name === undefined) return name
    this.#unnamed += 1
    if (this.#unnamed % LOOK_AFTER === 0) this.#onGrown()
    return undefined
  }

  /** Whether `error` means that the statement was not even begun, and may be executed without its name. */
  isRefusal(error: unknown): boolean {
    const isRefusal = isRefusedName(error)
    this.#isRefused ||= isRefusal
    return isRefusal
  }
}

// In a transaction that has failed already.
const IN_ABORTED = '25P02'

/** A client that gives the statements of the hot path their names. */
export function preparing(Client: typeof pg.Client, prepared: Prepared): typeof pg.Client {
  return class extends Client {
    // biome-ignore lint/suspicious/noExplicitAny: the driver's many forms, of which Kysely uses the one with two
    override query(...given: any[]): any {
      const query = (...args: unknown[]) => super.query(...(args as [string, unknown[]]))
      const [text, values, ...more] = given
      const name = more.length > 0 ? undefined : prepared.nameOf(text)
      if (name === undefined) return query(...given)
      return query({ name, text, values }).catch((error) => {
        if (!prepared.isRefusal(error)) throw error
        // In a transaction nothing can be executed any more: whoever began it begins it again.
        return query(text, values).catch((again) => Promise.reject(again.code === IN_ABORTED ? error : again))
      })
    }
  }
}
