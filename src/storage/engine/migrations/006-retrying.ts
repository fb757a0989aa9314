import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Frozen. What waits for another attempt is found without reading what waits for its due time. */
export const migration: Migration = {
  // biome-ignore lint/suspicious/noExplicitAny: a migration must not follow the types of today's tables
  async up(db: Kysely<any>): Promise<void> {
    await sql`create index endings_retrying on endings (next_attempt_at) where state = 'pending' and retry_since is not null`.execute(
      db,
    )
  },
}
