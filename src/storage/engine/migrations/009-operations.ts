import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Frozen. What operators have paused, and the trace that an ending belongs to. */
export const migration: Migration = {
  // biome-ignore lint/suspicious/noExplicitAny: a migration must not follow the types of today's tables
  async up(db: Kysely<any>): Promise<void> {
    await db.schema
      .createTable('pauses')
      .addColumn('caller', 'text', (c) => c.primaryKey())
      .addColumn('paused_by', 'text', (c) => c.notNull())
      .addColumn('reason', 'text', (c) => c.notNull())
      .addColumn('since', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema.alterTable('endings').addColumn('traceparent', 'text').execute()
  },
}
