import { type RawBuilder, type SelectQueryBuilder, sql } from 'kysely'
import { engineOf } from '../engine/compiled.ts'
import type { Db, Tables } from '../schema.ts'
import { FAILED, PENDING } from './conditions.ts'

const DAY_MS = 24 * 3_600_000

/**
 * The backlog as it is now: how many endings wait, how many are past their due time, and since when (epoch ms); and how
 * many have failed within a day. None is counted further than `MOST_COUNTED`.
 */
export async function backlog(db: Db, now: number) {
  const waiting = db.selectFrom('endings').select(ONE).where('state', '=', PENDING)
  const pending = await count(db, waiting)
  const overdue = await Promise.all(BOTH.map((urgent) => countOverdue(db, urgent, now)))
  const oldest = await Promise.all(BOTH.map((urgent) => oldestOverdue(db, urgent, now)))
  const failed = db
    .selectFrom('endings')
    .select(ONE)
    .where('state', '=', FAILED)
    .where('finished_at', '>', now - DAY_MS)
  return {
    failedLastDay: await count(db, failed),
    pending,
    overdue: overdue.reduce((sum, count) => sum + count, 0),
    oldestOverdue: oldest.filter((at) => at !== undefined).sort((a, b) => a - b)[0],
  }
}

const BOTH = [sql.lit(0), sql.lit(1)]

// So many are counted in the order of the index; PostgreSQL would read the table for as few, by what it guesses.
const FEW = 5_000

async function countOverdue(db: Db, urgent: RawBuilder<number>, now: number): Promise<number> {
  const overdue = db
    .selectFrom('endings')
    .where('state', '=', PENDING)
    .where('urgent', '=', urgent)
    .where('due_at', '<=', now)
  const first = await overdue
    .select('due_at')
    .orderBy('due_at')
    .limit(FEW + 1)
    .execute()
  if (first.length <= FEW) return first.length
  return count(db, overdue.select(ONE))
}

// Some 10 ms of the event loop on SQLite, and 40 ms on PostgreSQL. Whoever has that many knows what to do.
const MOST_COUNTED = { sqlite: 500_000, postgres: 100_000 }
// Not a column, so that a partial index holds all that is read.
const ONE = sql<number>`1`.as('one')

async function count(db: Db, rows: SelectQueryBuilder<Tables, 'endings', { one: number }>): Promise<number> {
  const { count } = await db
    .selectFrom(rows.limit(MOST_COUNTED[engineOf(db)]).as('some'))
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return Number(count)
}

async function oldestOverdue(db: Db, urgent: RawBuilder<number>, now: number): Promise<number | undefined> {
  const row = await db
    .selectFrom('endings')
    .select('due_at')
    .where('state', '=', PENDING)
    .where('urgent', '=', urgent)
    .where('due_at', '<=', now)
    .orderBy('due_at')
    .limit(1)
    .executeTakeFirst()
  return row?.due_at
}
