import { PENDING } from './pending.ts'
import type { Db } from './schema.ts'

/** The backlog as it is now: how many endings wait, how many are past their due time, and since when (epoch ms). */
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
  return { pending, overdue: Number(overdue ?? 0), oldestOverdue: isOverdue ? oldest : undefined }
}
