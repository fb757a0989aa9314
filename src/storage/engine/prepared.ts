import type pg from 'pg'
import { nameOfStatement } from './compiled.ts'

// What PostgreSQL says of a name it does not know, and of one that it knows already: a pooler between has given us
// somebody else's connection. And of a table that has changed since: another version has migrated it.
const REFUSALS = new Set(['26000', '42P05', '0A000'])

/**
 * PostgreSQL plans a statement each time it is executed, which takes longer than executing one of ours. A statement with a
 * name is planned once on each connection. Names are for connections of our own: `allow` says that these are. Where
 * PostgreSQL refuses one all the same, its statement is executed without, and so are all others from then on.
 */
export class Prepared {
  #isAllowed = false
  #isRefused = false

  allow(): void {
    this.#isAllowed = true
  }

  nameOf(text: unknown): string | undefined {
    return this.#isAllowed && !this.#isRefused && typeof text === 'string' ? nameOfStatement(text) : undefined
  }

  /** Whether `error` means that the statement was not even begun, and may be executed without its name. */
  isRefusal(error: unknown): boolean {
    const isRefusal = REFUSALS.has((error as { code?: string }).code ?? '')
    this.#isRefused ||= isRefusal
    return isRefusal
  }
}

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
        return query(text, values).catch(() => Promise.reject(error))
      })
    }
  }
}
