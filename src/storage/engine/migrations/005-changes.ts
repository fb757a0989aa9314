import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

// biome-ignore lint/suspicious/noExplicitAny: a migration must not follow the types of today's tables
type AnyDb = Kysely<any>

/** Frozen. Who changed an ending, and what went wrong last for it. */
export const migration: Migration = {
  async up(db: AnyDb): Promise<void> {
    await db.schema
      .createTable('changes')
      .addColumn('ending_id', 'text', (c) => c.notNull().references('endings.id').onDelete('cascade'))
      .addColumn('seq', 'integer', (c) => c.notNull())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addColumn('by', 'text', (c) => c.notNull())
      .addColumn('change', 'text', (c) => c.notNull())
      .addColumn('before', 'text', (c) => c.notNull())
      .addColumn('after', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('changes_pk', ['ending_id', 'seq'])
      .addCheckConstraint(
        'changes_change',
        sql`change in ('moved', 'replaced', 'cancelled', 'retried', 'reopened')`,
      )
      .execute()
    for (const [column, type] of [
      ['previous', 'text'],
      ['last_error', 'text'],
      ['last_error_at', 'bigint'],
    ] as const)
      await db.schema.alterTable('endings').addColumn(column, type).execute()
    await sql`create index endings_failed on endings (finished_at) where state = 'failed'`.execute(db)
  },
}
