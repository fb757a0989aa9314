import { Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import { type Clock, shiftedClock, systemClock } from '../../clock.ts'
import type { Db, Tables } from '../schema.ts'
import { migrate } from './migrate.ts'
import type { DatabaseOptions, OpenDatabase } from './open-database.ts'
import { LARGE_ROWS, Prepared, preparing } from './prepared.ts'
import { CHANNEL, PostgresSignals, type Signals } from './signals.ts'

const OFFSET_MEASURED_EVERY_MS = 60_000
const CONNECTIONS = { reads: 6, writes: 3, results: 1, leases: 1, deliveries: 2 }
const CONNECT_TIMEOUT_MS = 5_000
// The server gives up first; where it cannot be heard, a network that swallows packets must not hold anybody for ever.
const STATEMENT_TIMEOUT_MS = 8_000
const QUERY_TIMEOUT_MS = 10_000
// Others hold a row for some ms. A writer that waits longer for one keeps everybody else's commit waiting.
const LOCK_TIMEOUT_MS = 2_000
// Whoever stops in the middle of a transaction, dead or suspended, must not keep for others what it has locked.
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 5_000
// What a power failure may undo: what was told is told once more.
const NO_WAIT_FOR_DISK = '-c synchronous_commit=off'
// What writes has an index for whatever it looks for; joined row by row, rows are locked in the order in which they are
// given. Asked for as a connection begins, so that behind a pooler no setting is left to somebody else.
const PLAN_BY_INDEX = '-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off'
// An index on a large table takes as long as it takes; what waits for its lock keeps out everybody who comes after it.
const MIGRATION_LOCK_TIMEOUT_MS = 60_000

export async function openPostgres({ url, clock, onError, onDeaf }: DatabaseOptions): Promise<OpenDatabase> {
  const common = {
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'curfew',
  }
  const migrating = new pg.Pool({ ...common, max: 1, lock_timeout: MIGRATION_LOCK_TIMEOUT_MS })
  migrating.on('error', (error) => onError?.(error))
  await migrateOn(new Kysely<Tables>({ dialect: new PostgresDialect({ pool: migrating }) }))
  const prepared = new Prepared(() => void analyze().catch((error) => onError?.(error)))
  const opened = opener(common, prepared, onError)
  const db = opened(CONNECTIONS.reads)
  // A commit and a permit at the same time.
  const writes = opened(CONNECTIONS.writes, { min: 2, writes: true })
  const results = opened(CONNECTIONS.results, { writes: true })
  const leases = opened(CONNECTIONS.leases)
  // Without names: a ledger may be large, and have few notifications yet.
  const deliveries = opened(CONNECTIONS.deliveries, {
    min: 0,
    options: NO_WAIT_FOR_DISK,
    writes: true,
    names: false,
  })
  const stop = new AbortController()
  const close = async () => {
    stop.abort()
    const pools = [db, writes, results, leases, deliveries]
    await Promise.all([...pools.map((pool) => pool.destroy()), signals?.close()])
  }
  let signals: Signals | undefined
  let offset = 0
  const measure = async () => {
    offset = await measureOffset(db, clock)
    await count()
  }
  const count = async () => {
    prepared.isLarge = (await rowsAsAnalyzed(db)) >= LARGE_ROWS
  }
  const analyze = async () => {
    await sql`analyze (skip_locked) endings, attempts`.execute(db)
    await count()
  }
  try {
    const others = [writes, writes, results, leases].map((pool) => sql`select 1`.execute(pool))
    await Promise.all([measure(), ...others])
  } catch (error) {
    await close()
    throw error
  }
  void remeasure(measure, clock, stop.signal, onError)
  signals = new PostgresSignals({
    connect: () => new pg.Client({ ...common, query_timeout: QUERY_TIMEOUT_MS }),
    clock: systemClock,
    onError: (error) => onError?.(error),
    test: (payload) => sql`select pg_notify(${CHANNEL}, ${payload})`.execute(db),
    // Through a pooler that gives each transaction another connection, nothing is heard.
    onHeard: () => prepared.allow(),
    onDeaf: () => onDeaf?.(),
  })
  const verify = () => {}
  return {
    engine: 'postgres',
    db,
    writes,
    results,
    leases,
    deliveries,
    signals,
    clock: shiftedClock(clock, () => offset),
    verify,
    close,
  }
}

// PostgreSQL's bigint comes as a string, since it may exceed a double; ours are epoch ms and counts, which never do.
const getTypeParser = (oid: number, format?: 'text' | 'binary') =>
  oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format as 'text')

/** How connections are opened that share their settings: up to `max`, of which `min` stay. */
function opener(common: pg.PoolConfig, prepared: Prepared, onError: DatabaseOptions['onError']) {
  const Client = preparing(pg.Client, prepared)
  return (max: number, { min = 1, options = '', writes = false, names = true } = {}) => {
    const pool = new pg.Pool({
      ...common,
      Client: names ? Client : pg.Client,
      max,
      options: writes ? `${PLAN_BY_INDEX} ${options}` : options,
      // To be connected anew costs the first ending after a quiet minute tens of ms: those that it needs stay.
      min,
      query_timeout: QUERY_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      lock_timeout: LOCK_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
      types: { getTypeParser },
    })
    pool.on('error', (error) => onError?.(error))
    // The pool hears only of its idle clients; one that breaks while it is used tells its query, and whoever listens here.
    pool.on('connect', (client) => void client.on('error', (error) => onError?.(error)))
    return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
  }
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
      now: number | null
    }>`select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now`.execute(db)
    const after = clock.now()
    const told = rows[0]?.now ?? undefined
    const offset = told === undefined ? 0 : Math.round(told - (before + after) / 2)
    if (after - before < best.took) best = { took: after - before, offset }
  }
  return best.offset
}

/** How many endings PostgreSQL counted when it last looked; -1 where it never did. */
async function rowsAsAnalyzed(db: Db): Promise<number> {
  const { rows } = await sql<{
    count: number
  }>`select reltuples as count from pg_class where oid = to_regclass('endings')`.execute(db)
  return rows[0]?.count ?? -1
}

async function migrateOn(db: Db): Promise<void> {
  try {
    await migrate(db)
  } finally {
    await db.destroy()
  }
}
