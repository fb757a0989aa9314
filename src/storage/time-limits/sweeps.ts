import { CLOCK_DOUBT_MS } from '../../clock.ts'
import type { Trx } from '../schema.ts'

const NAME = 'live'

/** Takes the next sweep for itself, if it is due; of several replicas one does. `nextAt` is when the next is (epoch ms). */
export async function claimSweep(
  trx: Trx,
  now: number,
  everyMs: number,
): Promise<{ claimed: boolean; nextAt: number }> {
  await trx
    .insertInto('sweeps')
    .values({ name: NAME, next_at: now })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const claimed = await trx
    .updateTable('sweeps')
    .set({ next_at: now + everyMs })
    .where('name', '=', NAME)
    // A clock that was set back must not keep it waiting; that two replicas' clocks differ a little is no such thing.
    .where((eb) => eb.or([eb('next_at', '<=', now), eb('next_at', '>', now + everyMs + CLOCK_DOUBT_MS)]))
    .returning('next_at')
    .executeTakeFirst()
  if (claimed) return { claimed: true, nextAt: claimed.next_at }
  const { next_at } = await trx
    .selectFrom('sweeps')
    .select('next_at')
    .where('name', '=', NAME)
    .executeTakeFirstOrThrow()
  return { claimed: false, nextAt: next_at }
}

/** The next sweep is due at once. */
export async function requestSweep(trx: Trx, now: number): Promise<void> {
  await trx
    .updateTable('sweeps')
    .set({ next_at: now })
    .where('name', '=', NAME)
    .where('next_at', '>', now)
    .execute()
}
