import type { Db, NotificationRow, Trx } from '../schema.ts'

/** What can be tried again: what has failed, and what waits for its next try. */
const CAN_BE_TRIED = ['failed', 'pending'] as const

/** Tries notifications again at `now` (epoch ms), with a short backoff after that. Answers those that will be. */
export function retryNotifications(trx: Trx, ids: string[], now: number): Promise<NotificationRow[]> {
  if (ids.length === 0) return Promise.resolve([])
  return trx
    .updateTable('notifications')
    .set((eb) => ({
      state: 'pending',
      finished_at: null,
      next_attempt_at: now,
      retry_base: eb.ref('attempt'),
    }))
    .where('id', 'in', ids)
    .where('state', 'in', [...CAN_BE_TRIED])
    .returningAll()
    .execute()
}

/** Those of these that could be tried again now. */
export async function retriableNotifications(db: Db, ids: string[]): Promise<string[]> {
  if (ids.length === 0) return []
  const rows = await db
    .selectFrom('notifications')
    .select('id')
    .where('id', 'in', ids)
    .where('state', 'in', [...CAN_BE_TRIED])
    .execute()
  return rows.map(({ id }) => id)
}
