import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Frozen. What is asked of a ledger with millions of rows is a range of an index, in the order in which it is told. */
export const migration: Migration = {
  // biome-ignore lint/suspicious/noExplicitAny: a migration must not follow the types of today's tables
  async up(db: Kysely<any>): Promise<void> {
    for (const name of ['endings_target_id', 'endings_by_key', 'endings_by_subject'])
      await sql`drop index ${sql.ref(name)}`.execute(db)
    const indexes = {
      endings_target: '(target_id, id)',
      endings_by_key: '(key, id) where key is not null',
      endings_by_subject: '(subject, id) where subject is not null',
      endings_pending: "(id) where state = 'pending'",
      endings_failed_id: "(id) where state = 'failed'",
      endings_pending_target: "(target_id, due_at, id) where state = 'pending'",
      endings_pending_subject: "(requested_by, subject) where state = 'pending' and subject is not null",
      endings_claimed: "(claimed_until) where state = 'pending' and claimed_until is not null",
    }
    for (const [name, columns] of Object.entries(indexes))
      await sql`create index ${sql.ref(name)} on endings ${sql.raw(columns)}`.execute(db)
  },
}
