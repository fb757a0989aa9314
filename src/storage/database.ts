import { Kysely, PostgresDialect, SqliteDialect, sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import { type Clock, shiftedClock } from '../clock.ts'
import { migrations } from './migrations/index.ts'
import { lockFile, NodeSqlite } from './node-sqlite.ts'
import type { Db, Engine, Tables } from './schema.ts'

export interface OpenDatabase {
  engine: Engine
  db: Db
  /** The clock that everybody on this database agrees on. */
  clock: Clock
  close(): Promise<void>
}

export interface DatabaseOptions {
  /** `file:PATH` or `postgres://…` */
  url: string
  clock: Clock
  /** Told of trouble on idle connections, which no query would otherwise report. */
  onError?: (error: Error) => void
}

/**
 * Opens and migrates. Rejects with DatabaseInUseError where another process has the SQLite file, and with the
 * driver's error where PostgreSQL cannot be reached.
 */
export async function openDatabase(options: DatabaseOptions): Promise<OpenDatabase> {
  const open = options.url.startsWith('file:') ? openSqlite(options) : await openPostgres(options)
  try {
    await migrate(open.db)
  } catch (error) {
    await open.close()
    throw error
  }
  return open
}

function openSqlite({ url, clock }: DatabaseOptions): OpenDatabase {
  const file = url.slice('file:'.length)
  const lock = lockFile(file)
  try {
    const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database: new NodeSqlite(file) }) })
    const close = async () => {
      await db.destroy()
      lock.release()
    }
    return { engine: 'sqlite', db, clock, close }
  } catch (error) {
    lock.release()
    throw error
  }
}

const OFFSET_MEASURED_EVERY_MS = 60_000
const POOL_SIZE = 10
const CONNECT_TIMEOUT_MS = 5_000
// A network that swallows packets must not hold a worker or a request for ever.
const QUERY_TIMEOUT_MS = 10_000

async function openPostgres({ url, clock, onError }: DatabaseOptions): Promise<OpenDatabase> {
  // Only here: a service on SQLite need not carry the driver in memory.
  const { default: pg } = await import('pg')
  // PostgreSQL's bigint comes as a string, since it may exceed a double; ours are epoch ms and counts, which never do.
  const getTypeParser = (oid: number, format?: 'text' | 'binary') =>
    oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format as 'text')
  const pool = new pg.Pool({
    connectionString: url,
    max: POOL_SIZE,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'curfew',
    types: { getTypeParser },
  })
  pool.on('error', (error) => onError?.(error))
  // The pool hears only of its idle clients; one that breaks while it is used tells its query, and whoever listens here.
  pool.on('connect', (client) => void client.on('error', (error) => onError?.(error)))
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
  const stop = new AbortController()
  const close = async () => {
    stop.abort()
    await db.destroy()
  }
  let offset = 0
  const measure = async () => {
    offset = await measureOffset(db, clock)
  }
  try {
    await measure()
  } catch (error) {
    await close()
    throw error
  }
  void remeasure(measure, clock, stop.signal, onError)
  return { engine: 'postgres', db, clock: shiftedClock(clock, () => offset), close }
}

async function remeasure(
  measure: () => Promise<void>,
  clock: Clock,
  signal: AbortSignal,
  onError?: (error: Error) => void,
) {
  while (!signal.aborted) {
    await clock.sleep(OFFSET_MEASURED_EVERY_MS, signal)
    if (!signal.aborted) await measure().catch((error) => onError?.(error))
  }
}

/**
 * How far PostgreSQL's clock is ahead of ours (ms), taking it to have answered half-way through the round trip. Of
 * several round trips the shortest is believed: the first of a connection holds the connecting as well.
 */
async function measureOffset(db: Db, clock: Clock): Promise<number> {
  let best = { took: Number.POSITIVE_INFINITY, offset: 0 }
  for (let sample = 0; sample < 5; sample += 1) {
    const before = clock.now()
    const { rows } = await sql<{
      now: number
    }>`select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now`.execute(db)
    const after = clock.now()
    const offset = Math.round((rows[0]?.now ?? before) - (before + after) / 2)
    if (after - before < best.took) best = { took: after - before, offset }
  }
  return best.offset
}

// Kysely's migrator takes an advisory lock on PostgreSQL; on SQLite the file's lock is already ours.
async function migrate(db: Db): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
  const { error } = await migrator.migrateToLatest()
  if (error) throw error
}
