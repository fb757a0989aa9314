import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import type { SqliteDatabase, SqliteStatement } from 'kysely'
import { DatabaseReplacedError } from './errors.ts'
import { LogSync } from './log-sync.ts'

// Kysely asks for a statement for every query; the service has a few dozen texts, list filters included.
const STATEMENTS_KEPT = 256

/** What Kysely's SqliteDialect expects of a database (better-sqlite3's shape), on Node's own `node:sqlite`. */
export class NodeSqlite implements SqliteDatabase {
  readonly #db: DatabaseSync
  readonly #file: string
  readonly #identity: string
  readonly #statements = new Map<string, SqliteStatement>()

  constructor(file: string) {
    this.#db = new DatabaseSync(file)
    this.#file = file
    // WAL: one sync for each commit, not two. FULL until `logSync` takes that over.
    this.#db.exec('pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on')
    // Copying the log back every 64 MB instead of every 4: pages that are written again and again are copied once.
    this.#db.exec('pragma wal_autocheckpoint = 16000')
    this.#db.exec('pragma busy_timeout = 2000; pragma journal_size_limit = 67108864')
    this.#identity = identityOf(file)
  }

  /** @throws DatabaseReplacedError where somebody has removed the file, or put another in its place */
  verifyInPlace(): void {
    if (identityOf(this.#file) === this.#identity) return
    throw new DatabaseReplacedError(
      `${this.#file} was removed or replaced while it was open; stop Curfew, put the file back, start it again`,
    )
  }

  /**
   * From now on a commit is in the log when it is made, and on the disk when somebody has synced that: see `LogSync`.
   * SQLite itself goes on syncing whatever keeps the file whole.
   */
  logSync(): LogSync {
    // The last commit that SQLite syncs itself makes the log, and its name in the folder, durable.
    this.#db.exec('pragma user_version = 1; pragma synchronous = normal')
    return new LogSync(`${this.#file}-wal`)
  }

  prepare(sql: string): SqliteStatement {
    const known = this.#statements.get(sql)
    if (known) return known
    const statement = asKyselyExpects(this.#db.prepare(sql))
    if (this.#statements.size >= STATEMENTS_KEPT) this.#statements.clear()
    this.#statements.set(sql, statement)
    return statement
  }

  close(): void {
    this.#statements.clear()
    this.#db.close()
  }
}

export function asKyselyExpects(statement: StatementSync): SqliteStatement {
  const parameters = (values: ReadonlyArray<unknown>) => values as SQLInputValue[]
  return {
    reader: statement.columns().length > 0,
    all: (values) => statement.all(...parameters(values)),
    run: (values) => statement.run(...parameters(values)),
    iterate: (values) => statement.iterate(...parameters(values)),
  }
}

/** Which file that name stands for now, as the operating system tells files apart. */
function identityOf(file: string): string {
  const found = statSync(file, { throwIfNoEntry: false })
  return found ? `${found.dev}:${found.ino}` : 'none'
}

// Only the last of the path: Node's recursive mkdir never returns for a path that cannot be, such as one in /proc.
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

const SQLITE_BUSY = 5

/** Another process has this database. */
class DatabaseInUseError extends Error {
  override readonly name = 'DatabaseInUseError'
  readonly code = 'DATABASE_IN_USE'
}

/**
 * Holds an exclusive lock for as long as the process lives (the operating system lets go of it on any kind of death),
 * on a database of its own beside the file, so that backups and the sqlite3 shell can still read the ledger.
 * @throws DatabaseInUseError
 */
export function lockFile(file: string): { release(): void } {
  makeFolder(dirname(file))
  const lock = new DatabaseSync(`${file}.lock`)
  try {
    lock.exec('pragma busy_timeout = 0; pragma journal_mode = delete; begin exclusive')
  } catch (cause) {
    lock.close()
    if ((cause as { errcode?: number }).errcode !== SQLITE_BUSY) throw cause
    const message = `another Curfew process is using ${file}; for several replicas use a postgres:// DATABASE_URL`
    throw new DatabaseInUseError(message, { cause })
  }
  return { release: () => lock.close() }
}
