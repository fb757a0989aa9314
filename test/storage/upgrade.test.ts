import { Kysely, PostgresDialect, SqliteDialect, sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import pg from 'pg'
import t from 'tap'
import { migrations } from '../../src/storage/engine/migrations/index.ts'
import { NodeSqlite } from '../../src/storage/engine/node-sqlite.ts'
import { onEveryEngine, open } from '../helper/engines.ts'
import { claimOne, endCall } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'

/** A database as the first version left it. */
async function firstVersion(url: string): Promise<void> {
  const dialect = url.startsWith('file:')
    ? new SqliteDialect({ database: new NodeSqlite(url.slice('file:'.length)) })
    : new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) })
  const db = new Kysely<unknown>({ dialect })
  const [name, first] = Object.entries(migrations)[0] as [string, (typeof migrations)[string]]
  const migrator = new Migrator({ db, provider: { getMigrations: async () => ({ [name]: first }) } })
  const { error } = await migrator.migrateToLatest()
  if (error) throw error
  const insert = (id: string, rest: string) =>
    sql`insert into endings (id, state, target_kind, target_id, reason, requested_by, urgent, due_at, next_attempt_at,
      attempt, claim, retry_base, created_at, metadata, outcome, finished_at)
      values (${id}, ${sql.raw(rest)})`.execute(db)
  await insert(
    'old-1',
    `'pending', 'session', 's', 'requested', 'booking', 0, 0, 0, 0, 0, 0, 1, '{}', null, null`,
  )
  await insert(
    'old-2',
    `'ended', 'session', 's', 'requested', 'booking', 0, 0, 0, 1, 1, 0, 1, '{}', 'ended', 2`,
  )
  await db.destroy()
}

onEveryEngine(t, 'a ledger of the first version is brought up to date with what is in it', async (t, url) => {
  await firstVersion(url)
  const { ledger } = await open(t, url, new ManualClock(1000))
  t.match(await ledger.find('old-1'), { state: 'pending', confirm_at: null, reopened: 0 })
  t.match(await ledger.find('old-2'), { state: 'ended', confirmed_at: null, confirm_at: null })
  const claimed = await claimOne(ledger)
  t.equal(claimed.id, 'old-1')
  const call = endCall('ended', { session: 's' })
  t.match(await ledger.record(claimed, [call], { to: 'ended', outcome: 'ended' }), { confirm_at: 6000 })
  t.match(await ledger.sessionSeenOver('s'), [{ id: 'old-1', confirmed_at: 1000 }])
})
