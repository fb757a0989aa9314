import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { Kysely, PostgresDialect, SqliteDialect, sql } from 'kysely'
import type { Db, Tables } from '../schema.ts'
import { asKyselyExpects } from './node-sqlite.ts'

/*
 * A ledger as somebody opens it who must neither change it nor get in the way of whoever works on it: it is not made,
 * not migrated and not locked.
 */

/** Which file to open so that nothing is left behind, neither a log nor its index. */
export function readingUrl(file: string): URL {
  const url = pathToFileURL(file)
  const log = statSync(`${file}-wal`, { throwIfNoEntry: false })
  // SQLite makes a log even to read, unless it is told that the file does not change meanwhile.
  if (!log?.size && !isInUse(file)) url.searchParams.set('immutable', '1')
  return url
}

/** @throws as SQLite says it, where the file is none or cannot be read */
export function openSqliteForReading(file: string): Db {
  const database = new DatabaseSync(readingUrl(file), { readOnly: true })
  database.exec('pragma busy_timeout = 1000')
  const prepare = (text: string) => asKyselyExpects(database.prepare(text))
  const close = () => database.close()
  return new Kysely<Tables>({ dialect: new SqliteDialect({ database: { prepare, close } }) })
}

const SQLITE_BUSY = 5

/** Whether a Curfew process holds the lock of this file (see `lockFile`). */
export function isInUse(file: string): boolean {
  if (!statSync(`${file}.lock`, { throwIfNoEntry: false })) return false
  const lock = new DatabaseSync(`${file}.lock`, { readOnly: true })
  try {
    lock.exec('pragma busy_timeout = 0; pragma schema_version')
    return false
  } catch (error) {
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) throw error
    return true
  } finally {
    lock.close()
  }
}

const CONNECT_TIMEOUT_MS = 4000
const STATEMENT_TIMEOUT_MS = 3000

/** Nothing can be written by it: PostgreSQL itself sees to that. Connects with the first statement. */
export async function openPostgresForReading(url: string): Promise<Db> {
  const { default: pg } = await import('pg')
  const getTypeParser = (oid: number, format?: 'text' | 'binary') =>
    oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format as 'text')
  const pool = new pg.Pool({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: STATEMENT_TIMEOUT_MS + 500,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    lock_timeout: 1000,
    max: 1,
    application_name: 'curfew-doctor',
    types: { getTypeParser },
  })
  // Whoever asks is told by the query; without a listener the process would end.
  pool.on('error', () => {})
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
}

/** What a PostgreSQL and this user's rights are like, as far as Curfew needs them. */
export interface ServerRights {
  now: number
  is_standby: boolean
  is_read_only: boolean
  may_create: boolean
  /** processes of Curfew that are connected; their names are hidden from users that may not see them */
  connections: number
}

export async function serverRights(db: Db): Promise<ServerRights> {
  const { rows } = await sql<ServerRights>`
    select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now,
      pg_is_in_recovery() as is_standby,
      current_setting('transaction_read_only') = 'on' as is_read_only,
      coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) as may_create,
      (select count(*) from pg_stat_activity
        where datname = current_database() and application_name = 'curfew')::int as connections`.execute(db)
  return rows[0] as ServerRights
}

/** Those tables of the ledger that this user may not change as Curfew has to. */
export async function unwritableTables(db: Db): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select tablename as name from pg_tables where schemaname = current_schema() and not (
      has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'SELECT')
      and has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'INSERT')
      and has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'UPDATE')
      and has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'DELETE'))
    order by 1`.execute(db)
  return rows.map(({ name }) => name)
}
