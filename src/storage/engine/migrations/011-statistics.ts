import { type Kysely, SqliteAdapter, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/**
 * Frozen. What has happened, as counts of each minute and each hour: kept up in the transactions that make it happen.
 * The row of a minute is written again and again until the minute is over, so there is room beside it on its page, and
 * on SQLite the table is its own index.
 */
export const migration: Migration = {
  // biome-ignore lint/suspicious/noExplicitAny: a migration must not follow the types of today's tables
  async up(db: Kysely<any>): Promise<void> {
    const isSqlite = db.getExecutor().adapter instanceof SqliteAdapter
    await db.schema
      .createTable('statistics')
      .addColumn('step', 'text', (c) => c.notNull().check(sql`step in ('minute', 'hour')`))
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addColumn('source', 'text', (c) => c.notNull())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('count', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('statistics_key', ['step', 'at', 'source', 'name'])
      .modifyEnd(isSqlite ? sql`without rowid` : sql`with (fillfactor = 50)`)
      .execute()
  },
}
