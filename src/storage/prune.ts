import { REMEMBERED_MS } from './idempotency.ts'
import type { Trx } from './schema.ts'

// Small, so that no commit keeps a claim or a caller waiting.
const BATCH = 500

/**
 * Removes one small batch of endings finished before `before` (epoch ms), with their attempts, and of idempotency keys
 * that have run out. Returns whether there may be more.
 */
export async function pruneBatch(trx: Trx, before: number, now: number): Promise<boolean> {
  const endings = await trx
    .deleteFrom('endings')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('endings')
        .select('id')
        .where('finished_at', 'is not', null)
        .where('finished_at', '<', before)
        .limit(BATCH),
    )
    .executeTakeFirst()
  const keys = await trx
    .deleteFrom('idempotency_keys')
    .where(({ refTuple, selectFrom, eb }) =>
      eb(
        refTuple('caller', 'key'),
        'in',
        selectFrom('idempotency_keys')
          .select(['caller', 'key'])
          .where('created_at', '<=', now - REMEMBERED_MS)
          .limit(BATCH)
          .$asTuple('caller', 'key'),
      ),
    )
    .executeTakeFirst()
  return endings.numDeletedRows >= BATCH || keys.numDeletedRows >= BATCH
}
