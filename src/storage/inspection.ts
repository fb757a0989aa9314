import { sql } from 'kysely'
import { backlog } from './endings/backlog.ts'
import { engineOf } from './engine/compiled.ts'
import { migrations } from './engine/migrations/index.ts'
import { countNotifications, failingReceivers } from './notifications/health.ts'
import type { ControlTable, Db, PausesTable, ReceiverRow } from './schema.ts'

/**
 * What a database's tables are: none yet, somebody else's, this version's, an older one's that the next start
 * migrates, or a newer one's. `version` is the last migration that was carried out.
 */
export interface SchemaState {
  is: 'empty' | 'foreign' | 'current' | 'older' | 'newer'
  version: string | undefined
}

export async function schemaState(db: Db): Promise<SchemaState> {
  const tables = await tableNames(db)
  if (!tables.includes('kysely_migration'))
    return { is: tables.length === 0 ? 'empty' : 'foreign', version: undefined }
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db)
  const done = rows.map(({ name }) => name)
  const version = done.at(-1)
  if (done.some((name) => !(name in migrations))) return { is: 'newer', version }
  if (done.length === 0) return { is: 'empty', version }
  return { is: done.length < Object.keys(migrations).length ? 'older' : 'current', version }
}

async function tableNames(db: Db): Promise<string[]> {
  const { rows } =
    engineOf(db) === 'sqlite'
      ? await sql<{ name: string }>`select name from sqlite_master where type = 'table'`.execute(db)
      : await sql<{
          name: string
        }>`select tablename as name from pg_tables where schemaname = current_schema()`.execute(db)
  return rows.map(({ name }) => name)
}

export interface LedgerNumbers {
  backlog: Awaited<ReturnType<typeof backlog>>
  /** how many calls could leave now if nothing stopped them */
  callsLeft: number
  /** what Digital Samba has stopped: a 429, refused credentials */
  stops: ControlTable[]
  /** what operators have stopped */
  pauses: PausesTable[]
  /** how telling callers of their endings is doing */
  notifications: { pending: number; failed: number; failing: ReceiverRow[] }
}

/** Of a ledger of this version; `now` is epoch ms by the clock that it goes by. */
export async function ledgerNumbers(db: Db, now: number, callsPerMinute: number): Promise<LedgerNumbers> {
  const { taken } = await db
    .selectFrom('permits')
    .select(({ fn }) => fn.countAll<number>().as('taken'))
    .where('kind', '=', 'call')
    .where('free_at', '>', now)
    .where('slot', '<', callsPerMinute)
    .executeTakeFirstOrThrow()
  return {
    backlog: await backlog(db, now),
    callsLeft: Math.max(callsPerMinute - Number(taken), 0),
    stops: await db.selectFrom('control').selectAll().orderBy('name').execute(),
    notifications: { ...(await countNotifications(db)), failing: await failingReceivers(db) },
    pauses: await db.selectFrom('pauses').selectAll().orderBy('since').execute(),
  }
}
