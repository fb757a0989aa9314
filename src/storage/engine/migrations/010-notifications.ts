import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Frozen. The outbox: what callers are told of their endings, every try, and how each of them has been reached. */
export const migration: Migration = {
  // biome-ignore lint/suspicious/noExplicitAny: a migration must not follow the types of today's tables
  async up(db: Kysely<any>): Promise<void> {
    await db.schema
      .createTable('notifications')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('ending_id', 'text', (c) => c.notNull().references('endings.id').onDelete('cascade'))
      .addColumn('caller', 'text', (c) => c.notNull())
      .addColumn('type', 'text', (c) =>
        c.notNull().check(sql`type in ('ended', 'failed', 'cancelled', 'confirmed', 'reopened')`),
      )
      .addColumn('state', 'text', (c) => c.notNull().check(sql`state in ('pending', 'told', 'failed')`))
      .addColumn('ending', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('attempt', 'integer', (c) => c.notNull())
      .addColumn('retry_base', 'integer', (c) => c.notNull())
      .addColumn('next_attempt_at', 'bigint', (c) => c.notNull())
      .addColumn('finished_at', 'bigint')
      .addColumn('last_status', 'integer')
      .addColumn('last_error', 'text')
      .addCheckConstraint('notifications_finished', sql`(finished_at is null) = (state = 'pending')`)
      .execute()
    const index = (name: string, columns: string, where = '') =>
      sql.raw(`create index ${name} on notifications (${columns}) ${where}`).execute(db)
    await index('notifications_of_ending', 'ending_id')
    await index('notifications_of_caller', 'caller, id')
    await index('notifications_due', 'caller, next_attempt_at', `where state = 'pending'`)
    await index('notifications_pending', 'id', `where state = 'pending'`)
    await index('notifications_failed', 'id', `where state = 'failed'`)
    await db.schema
      .createTable('notification_tries')
      .addColumn('notification_id', 'text', (c) =>
        c.notNull().references('notifications.id').onDelete('cascade'),
      )
      .addColumn('attempt', 'integer', (c) => c.notNull())
      .addColumn('started_at', 'bigint', (c) => c.notNull())
      .addColumn('duration_ms', 'integer', (c) => c.notNull())
      .addColumn('status', 'integer')
      .addColumn('error', 'text')
      .addColumn('answer', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('notification_tries_key', ['notification_id', 'attempt'])
      .execute()
    await db.schema
      .createTable('receivers')
      .addColumn('caller', 'text', (c) => c.primaryKey())
      .addColumn('holder', 'text')
      .addColumn('held_until', 'bigint')
      .addColumn('failing_since', 'bigint')
      .addColumn('last_error', 'text')
      .addColumn('reported_at', 'bigint')
      .execute()
  },
}
