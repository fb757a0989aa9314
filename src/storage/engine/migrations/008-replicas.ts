import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Frozen. The call budget of all replicas, and whose turn it is when calls are short. */
export const migration: Migration = {
  // biome-ignore lint/suspicious/noExplicitAny: a migration must not follow the types of today's tables
  async up(db: Kysely<any>): Promise<void> {
    await db.schema
      .createTable('permits')
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('slot', 'integer', (c) => c.notNull())
      .addColumn('free_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('permits_pk', ['kind', 'slot'])
      .execute()
    await sql`create index permits_free on permits (kind, free_at, slot)`.execute(db)
    await sql`create index endings_turns on endings (requested_by, urgent, due_at, id) where state = 'pending'`.execute(
      db,
    )
  },
}
