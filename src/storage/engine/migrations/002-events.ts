import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

// biome-ignore lint/suspicious/noExplicitAny: a migration must not follow the types of today's tables
type AnyDb = Kysely<any>

/** Frozen. Events and what is known of their subjects; and what it takes to see that a session is really over. */
export const migration: Migration = {
  async up(db: AnyDb): Promise<void> {
    await createEvents(db)
    await createSubjects(db)
    await addConfirmation(db)
  },
}

async function createEvents(db: AnyDb): Promise<void> {
  await db.schema
    .createTable('events')
    .addColumn('sender', 'text', (c) => c.notNull())
    .addColumn('source', 'text', (c) => c.notNull())
    .addColumn('id', 'text', (c) => c.notNull())
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('endings', 'text', (c) => c.notNull())
    .addColumn('received_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('events_pk', ['sender', 'source', 'id'])
    .addCheckConstraint('events_status', sql`status in ('accepted', 'stale')`)
    .execute()
  await sql`create index events_received on events (received_at)`.execute(db)
}

async function createSubjects(db: AnyDb): Promise<void> {
  await db.schema
    .createTable('subjects')
    .addColumn('sender', 'text', (c) => c.notNull())
    .addColumn('subject', 'text', (c) => c.notNull())
    .addColumn('time', 'bigint', (c) => c.notNull())
    .addColumn('precedence', 'integer', (c) => c.notNull())
    .addColumn('timed', 'integer', (c) => c.notNull())
    .addColumn('memory', 'text', (c) => c.notNull())
    .addColumn('matters_until', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('subjects_pk', ['sender', 'subject'])
    .addCheckConstraint('subjects_timed', sql`timed in (0, 1)`)
    .execute()
  await sql`create index subjects_matters on subjects (matters_until)`.execute(db)
}

async function addConfirmation(db: AnyDb): Promise<void> {
  await db.schema
    .alterTable('endings')
    .addColumn('confirm_at', 'bigint', (c) =>
      c.check(sql`confirm_at is null or (state = 'ended' and outcome = 'ended' and confirmed_at is null)`),
    )
    .execute()
  await db.schema
    .alterTable('endings')
    .addColumn('reopened', 'integer', (c) => c.notNull().defaultTo(0).check(sql`reopened between 0 and 3`))
    .execute()
  await db.schema.alterTable('attempts').addColumn('confirmed_at', 'bigint').execute()
  await sql`create index endings_confirm on endings (confirm_at) where confirm_at is not null`.execute(db)
}
