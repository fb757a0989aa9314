import type { Trx } from '../schema.ts'
import { PENDING } from './conditions.ts'

// Small, so that no commit keeps a claim or a caller waiting.
const BATCH = 500

/** What waits for another attempt is to be tried at `now` (epoch ms). One batch; returns how many they were. */
export async function hastenRetries(trx: Trx, now: number): Promise<{ hastened: number; more: boolean }> {
  const { numUpdatedRows } = await trx
    .updateTable('endings')
    .set({ next_attempt_at: now })
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('endings')
        .select('id')
        .where('state', '=', PENDING)
        .where('retry_since', 'is not', null)
        .where('next_attempt_at', '>', now)
        .where('claimed_until', 'is', null)
        .orderBy('next_attempt_at')
        .limit(BATCH),
    )
    .executeTakeFirst()
  const hastened = Number(numUpdatedRows)
  return { hastened, more: hastened === BATCH }
}
