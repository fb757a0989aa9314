import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Frozen: what has run on somebody's database is never edited. A change of mind is the next migration. */
export const migration: Migration = {
  // biome-ignore lint/suspicious/noExplicitAny: a migration must not follow the types of today's tables
  async up(db: Kysely<any>): Promise<void> {
    await createEndings(db)
    await createAttempts(db)
    await createIdempotencyKeys(db)
    await createControl(db)
  },
}

// biome-ignore lint/suspicious/noExplicitAny: as above
type AnyDb = Kysely<any>

async function createEndings(db: AnyDb): Promise<void> {
  await db.schema
    .createTable('endings')
    .addColumn('id', 'text', (c) => c.primaryKey().notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('target_kind', 'text', (c) => c.notNull())
    .addColumn('target_id', 'text', (c) => c.notNull())
    .addColumn('reason', 'text', (c) => c.notNull())
    .addColumn('requested_by', 'text', (c) => c.notNull())
    .addColumn('key', 'text')
    .addColumn('subject', 'text')
    .addColumn('urgent', 'integer', (c) => c.notNull())
    .addColumn('due_at', 'bigint', (c) => c.notNull())
    .addColumn('next_attempt_at', 'bigint', (c) => c.notNull())
    .addColumn('attempt', 'integer', (c) => c.notNull())
    .addColumn('claim', 'integer', (c) => c.notNull())
    .addColumn('claimed_until', 'bigint')
    .addColumn('retry_since', 'bigint')
    .addColumn('retry_base', 'integer', (c) => c.notNull())
    .addColumn('outcome', 'text')
    .addColumn('failure', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('finished_at', 'bigint')
    .addColumn('confirmed_at', 'bigint')
    .addColumn('metadata', 'text', (c) => c.notNull())
    .addCheckConstraint('endings_state', sql`state in ('pending', 'ended', 'failed', 'cancelled')`)
    .addCheckConstraint('endings_target', sql`target_kind in ('session', 'room', 'external')`)
    .addCheckConstraint('endings_urgent', sql`urgent in (0, 1)`)
    .addCheckConstraint('endings_finished', sql`(state = 'pending') = (finished_at is null)`)
    .addCheckConstraint(
      'endings_outcome',
      sql`(state = 'ended') = (outcome is not null) and (outcome is null or outcome in ('ended', 'already_ended', 'nothing_live'))`,
    )
    .addCheckConstraint(
      'endings_failure',
      sql`(state = 'failed') = (failure is not null) and (failure is null or failure in ('session_not_found', 'room_not_found', 'rejected', 'gave_up'))`,
    )
    .addCheckConstraint('endings_claimed', sql`claimed_until is null or state = 'pending'`)
    .addCheckConstraint('endings_confirmed', sql`confirmed_at is null or state = 'ended'`)
    .addCheckConstraint('endings_next_attempt', sql`next_attempt_at >= due_at`)
    .addCheckConstraint(
      'endings_counts',
      sql`attempt >= 0 and claim >= 0 and retry_base between 0 and attempt`,
    )
    .execute()
  await sql`create unique index endings_key on endings (requested_by, key) where state = 'pending' and key is not null`.execute(
    db,
  )
  // The claim walks this in the order of urgency and due time; it holds pending rows only, however many are finished.
  await sql`create index endings_due on endings (urgent, due_at, id) where state = 'pending'`.execute(db)
  await sql`create index endings_next on endings (next_attempt_at) where state = 'pending'`.execute(db)
  await sql`create index endings_finished_at on endings (finished_at) where finished_at is not null`.execute(
    db,
  )
  await sql`create index endings_target_id on endings (target_id)`.execute(db)
  await sql`create index endings_by_key on endings (key) where key is not null`.execute(db)
  await sql`create index endings_by_subject on endings (subject) where subject is not null`.execute(db)
}

async function createAttempts(db: AnyDb): Promise<void> {
  await db.schema
    .createTable('attempts')
    .addColumn('id', 'text', (c) => c.primaryKey().notNull())
    .addColumn('ending_id', 'text', (c) => c.notNull().references('endings.id').onDelete('cascade'))
    .addColumn('attempt', 'integer', (c) => c.notNull())
    .addColumn('session', 'text', (c) => c.notNull())
    .addColumn('started_at', 'bigint', (c) => c.notNull())
    .addColumn('duration_ms', 'integer', (c) => c.notNull())
    .addColumn('status', 'integer')
    .addColumn('result', 'text', (c) => c.notNull())
    .addColumn('error', 'text')
    .addCheckConstraint(
      'attempts_result',
      sql`result in ('ended', 'already_ended', 'not_found', 'rejected', 'retry')`,
    )
    .execute()
  await sql`create index attempts_ending on attempts (ending_id)`.execute(db)
  await sql`create index attempts_session on attempts (session)`.execute(db)
  await sql`create index attempts_started on attempts (started_at)`.execute(db)
}

async function createIdempotencyKeys(db: AnyDb): Promise<void> {
  await db.schema
    .createTable('idempotency_keys')
    .addColumn('caller', 'text', (c) => c.notNull())
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('fingerprint', 'text', (c) => c.notNull())
    .addColumn('ending_id', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('idempotency_keys_pk', ['caller', 'key'])
    .execute()
  await sql`create index idempotency_keys_created on idempotency_keys (created_at)`.execute(db)
}

async function createControl(db: AnyDb): Promise<void> {
  await db.schema
    .createTable('control')
    .addColumn('name', 'text', (c) => c.primaryKey().notNull())
    .addColumn('since', 'bigint', (c) => c.notNull())
    .addColumn('until', 'bigint', (c) => c.notNull())
    .addColumn('why', 'text', (c) => c.notNull())
    .addCheckConstraint('control_name', sql`name in ('pause', 'refusal')`)
    .execute()
}
