import { type SelectQueryBuilder, sql } from 'kysely'
import type { Db, ReceiverRow, Tables } from '../schema.ts'

const MOST_COUNTED = 50_000

/** How many wait, and how many were given up, neither counted further than `MOST_COUNTED`. */
export async function countNotifications(db: Db): Promise<{ pending: number; failed: number }> {
  return {
    pending: await count(db, withState(db, 'pending')),
    failed: await count(db, withState(db, 'failed')),
  }
}

/** Callers of whom every try has failed for a while, the longest first. */
export function failingReceivers(db: Db): Promise<ReceiverRow[]> {
  return db
    .selectFrom('receivers')
    .selectAll()
    .where('failing_since', 'is not', null)
    .orderBy('failing_since')
    .execute()
}

function withState(db: Db, state: 'pending' | 'failed') {
  return db.selectFrom('notifications').select(sql<number>`1`.as('one')).where('state', '=', sql.lit(state))
}

async function count(
  db: Db,
  rows: SelectQueryBuilder<Tables, 'notifications', { one: number }>,
): Promise<number> {
  const { count } = await db
    .selectFrom(rows.limit(MOST_COUNTED).as('some'))
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return Number(count)
}
