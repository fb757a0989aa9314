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
  const { overdue } = await db
    .selectFrom('endings')
    .where('state', '=', PENDING)
    .where('urgent', 'in', BOTH)
    .where('due_at', '<=', now)
    .select(({ fn }) => fn.countAll<number>().as('overdue'))
    .executeTakeFirstOrThrow()
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
    overdue: Number(overdue),
    oldestOverdue: oldest.filter((at) => at !== undefined).sort((a, b) => a - b)[0],
  }
}

const BOTH = [sql.lit(0), sql.lit(1)]

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
