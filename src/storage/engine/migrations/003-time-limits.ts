import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

// biome-ignore lint/suspicious/noExplicitAny: a migration must not follow the types of today's tables
type AnyDb = Kysely<any>

/** Frozen. Rules for time limits, the sessions that they or holds are about, warnings, and rooms kept closed. */
export const migration: Migration = {
  async up(db: AnyDb): Promise<void> {
    await createTimeLimits(db)
    await createSessions(db)
    await createWarnings(db)
    await createHolds(db)
    await db.schema
      .createTable('sweeps')
      .addColumn('name', 'text', (c) => c.primaryKey().notNull())
      .addColumn('next_at', 'bigint', (c) => c.notNull())
      .execute()
  },
}

async function createTimeLimits(db: AnyDb): Promise<void> {
  await db.schema
    .createTable('time_limits')
    .addColumn('room', 'text', (c) => c.primaryKey().notNull())
    .addColumn('owner', 'text', (c) => c.notNull())
    .addColumn('max_minutes', 'integer', (c) => c.notNull().check(sql`max_minutes > 0`))
    .addColumn('warn_minutes', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute()
}

async function createSessions(db: AnyDb): Promise<void> {
  await db.schema
    .createTable('sessions')
    .addColumn('id', 'text', (c) => c.primaryKey().notNull())
    .addColumn('room_id', 'text')
    .addColumn('friendly_url', 'text')
    .addColumn('external_id', 'text')
    .addColumn('started_at', 'bigint', (c) => c.notNull())
    .addColumn('seen_at', 'bigint', (c) => c.notNull())
    .addColumn('over_at', 'bigint')
    .addColumn('limit_ending', 'text')
    .addColumn('limit_room', 'text')
    .addColumn('limit_due', 'bigint')
    .addColumn('hold_ending', 'text')
    .execute()
  await sql`create index sessions_live on sessions (id) where over_at is null`.execute(db)
  await sql`create index sessions_room on sessions (room_id)`.execute(db)
  await sql`create index sessions_seen on sessions (seen_at)`.execute(db)
}

async function createWarnings(db: AnyDb): Promise<void> {
  await db.schema
    .createTable('warnings')
    .addColumn('ending_id', 'text', (c) => c.notNull().references('endings.id').onDelete('cascade'))
    .addColumn('due_at', 'bigint', (c) => c.notNull())
    .addColumn('minutes', 'integer', (c) => c.notNull())
    .addColumn('told_minutes', 'integer', (c) => c.notNull())
    .addColumn('marked_at', 'bigint', (c) => c.notNull())
    .addColumn('sent_at', 'bigint')
    .addColumn('result', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('warnings_pk', ['ending_id', 'due_at', 'minutes'])
    .addCheckConstraint(
      'warnings_result',
      sql`result in ('begun', 'sent', 'nobody_there', 'superseded', 'failed')`,
    )
    .addCheckConstraint('warnings_sent', sql`(result = 'sent') = (sent_at is not null)`)
    .execute()
  await db.schema.alterTable('endings').addColumn('warn_minutes', 'text').execute()
  await db.schema.alterTable('endings').addColumn('warn_at', 'bigint').execute()
  await sql`create index endings_warn on endings (warn_at) where state = 'pending' and warn_at is not null`.execute(
    db,
  )
}

async function createHolds(db: AnyDb): Promise<void> {
  await db.schema
    .createTable('holds')
    .addColumn('id', 'text', (c) => c.primaryKey().notNull())
    .addColumn('room_kind', 'text', (c) => c.notNull())
    .addColumn('room', 'text', (c) => c.notNull())
    .addColumn('from_at', 'bigint', (c) => c.notNull())
    .addColumn('until_at', 'bigint')
    .addColumn('requested_by', 'text', (c) => c.notNull())
    .addColumn('reason', 'text', (c) => c.notNull())
    .addColumn('subject', 'text')
    .addColumn('ending_id', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('lifted_at', 'bigint')
    .addColumn('lifted_by', 'text')
    .addCheckConstraint('holds_room_kind', sql`room_kind in ('room', 'external')`)
    .addCheckConstraint('holds_time', sql`until_at is null or until_at >= from_at`)
    .addCheckConstraint('holds_lifted', sql`(lifted_at is null) = (lifted_by is null)`)
    .execute()
  await sql`create index holds_open on holds (requested_by, room) where lifted_at is null`.execute(db)
  await sql`create index holds_ending on holds (ending_id) where ending_id is not null`.execute(db)
}
