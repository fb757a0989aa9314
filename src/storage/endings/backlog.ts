import type { Db } from '../schema.ts'
import { FAILED, PENDING } from './pending.ts'

const DAY_MS = 24 * 3_600_000

/**
 * The backlog as it is now: how many endings wait, how many are past their due time, and since when (epoch ms); and how
 * many have failed within a day.
 */
export async function backlog(db: Db, now: number) {
  const { pending, overdue, oldest } = await db
    .selectFrom('endings')
    .where('state', '=', PENDING)
    .select(({ fn, eb }) => [
      fn.countAll<number>().as('pending'),
      fn.sum<number | null>(eb.case().when('due_at', '<=', now).then(1).else(0).end()).as('overdue'),
      fn.min<number | null>('due_at').as('oldest'),
    ])
    .executeTakeFirstOrThrow()
  const isOverdue = oldest !== null && oldest <= now
  const { failedLastDay } = await db
    .selectFrom('endings')
    .where('state', '=', FAILED)
    .where('finished_at', '>', now - DAY_MS)
    .select(({ fn }) => fn.countAll<number>().as('failedLastDay'))
    .executeTakeFirstOrThrow()
  return {
    failedLastDay: Number(failedLastDay),
    pending,
    overdue: Number(overdue ?? 0),
    oldestOverdue: isOverdue ? oldest : undefined,
  }
}
