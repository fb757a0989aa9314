import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../schema.ts'
import { FAILED, PENDING } from './pending.ts'

const DAY_MS = 24 * 3_600_000

/**
 * The backlog as it is now: how many endings wait, how many are past their due time, and since when (epoch ms); and how
 * many have failed within a day.
 */
export async function backlog(db: Db, now: number) {
  const { pending } = await db
    .selectFrom('endings')
    .where('state', '=', PENDING)
    .select(({ fn }) => fn.countAll<number>().as('pending'))
    .executeTakeFirstOrThrow()
  const overdue = await Promise.all(BOTH.map((urgent) => countOverdue(db, urgent, now)))
  const oldest = await Promise.all(BOTH.map((urgent) => oldestOverdue(db, urgent, now)))
  const { failedLastDay } = await db
    .selectFrom('endings')
    .where('state', '=', FAILED)
    .where('finished_at', '>', now - DAY_MS)
    .select(({ fn }) => fn.countAll<number>().as('failedLastDay'))
    .executeTakeFirstOrThrow()
  return {
    failedLastDay: Number(failedLastDay),
    pending: Number(pending),
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
  const { count } = await overdue
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
