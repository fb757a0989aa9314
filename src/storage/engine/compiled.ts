import { hash } from 'node:crypto'
import { type CompiledQuery, type QueryExecutorProvider, type QueryResult, SqliteAdapter } from 'kysely'
import type { Db, Engine, Trx } from '../schema.ts'

/** Stands in a statement where a value goes that is known only when it is executed. */
class Parameter {
  readonly name: string | number
  constructor(name: string) {
    // Of a list of values, a place: looking that up by its text costs ten times as much.
    this.name = /^\d+$/.test(name) ? Number(name) : name
  }
}

type Parameters = Record<string, unknown> | unknown[]

// Of the texts on PostgreSQL: see prepared.ts. The same name is the same text, whoever has prepared it.
const NAMES = new Map<string, string>()

/** The name of a statement of the hot path, by its text. */
export function nameOfStatement(text: string): string | undefined {
  return NAMES.get(text)
}

interface Compilable<O> {
  compile(db: QueryExecutorProvider): CompiledQuery<O>
}

/**
 * A statement of the hot path. Compiling one costs more than running it, so this one is compiled once for each
 * database: `build` gets a stand-in for each parameter, by its name or its place, and whoever executes it gives their values.
 */
export function compiledOnce<P extends Parameters, O>(
  build: (db: Db | Trx, parameters: P) => Compilable<O>,
): (db: Db | Trx, values: P) => Promise<QueryResult<O>> {
  const known = new WeakMap<object, CompiledQuery<O>>()
  const names = new Proxy({}, { get: (_, name) => new Parameter(String(name)) }) as P
  return (db, values) => {
    const { adapter } = db.getExecutor()
    let query = known.get(adapter)
    if (!query) {
      query = build(db, names).compile(db)
      known.set(adapter, query)
      if (!(adapter instanceof SqliteAdapter) && !NAMES.has(query.sql))
        NAMES.set(query.sql, `curfew_${hash('sha256', query.sql).slice(0, 32)}`)
    }
    const given = values as Record<string | number, unknown>
    const parameters = query.parameters.map((one) => (one instanceof Parameter ? given[one.name] : one))
    return db.executeQuery({ ...query, parameters })
  }
}

export function engineOf(db: Db | Trx): Engine {
  return db.getExecutor().adapter instanceof SqliteAdapter ? 'sqlite' : 'postgres'
}
