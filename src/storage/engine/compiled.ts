import { type CompiledQuery, type QueryExecutorProvider, type QueryResult, SqliteAdapter } from 'kysely'
import type { Db, Engine, Trx } from '../schema.ts'

/** Stands in a statement where a value goes that is known only when it is executed. */
class Parameter {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

type Parameters = Record<string, unknown>

interface Compilable<O> {
  compile(db: QueryExecutorProvider): CompiledQuery<O>
}

/**
 * A statement of the hot path. Compiling one costs more than running it, so this one is compiled once for each
 * database: `build` gets a stand-in for each parameter, and whoever executes it gives their values.
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
    }
    const parameters = query.parameters.map((one) => (one instanceof Parameter ? values[one.name] : one))
    return db.executeQuery({ ...query, parameters })
  }
}

export function engineOf(db: Db | Trx): Engine {
  return db.getExecutor().adapter instanceof SqliteAdapter ? 'sqlite' : 'postgres'
}
