import { CLOCK_DOUBT_MS } from '../clock.ts'
import type { Trx } from './schema.ts'

/** What is done once, whichever of several replicas does it: the sweep through what is live, and pruning. */
export type Chore = 'live' | 'pruning'

/** Takes a chore for itself, if it is due; of several replicas one does. `nextAt` is when it is due next (epoch ms). */
export async function claimChore(
  trx: Trx,
  chore: Chore,
  now: number,
  everyMs: number,
): Promise<{ claimed: boolean; nextAt: number }> {
  await trx
    .insertInto('sweeps')
    .values({ name: chore, next_at: now })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const claimed = await trx
    .updateTable('sweeps')
    .set({ next_at: now + everyMs })
    .where('name', '=', chore)
    // A clock that was set back must not keep it waiting; that two replicas' clocks differ a little is no such thing.
    .where((eb) => eb.or([eb('next_at', '<=', now), eb('next_at', '>', now + everyMs + CLOCK_DOUBT_MS)]))
    .returning('next_at')
    .executeTakeFirst()
  if (claimed) return { claimed: true, nextAt: claimed.next_at }
  const { next_at } = await trx
    .selectFrom('sweeps')
    .select('next_at')
    .where('name', '=', chore)
    .executeTakeFirstOrThrow()
  return { claimed: false, nextAt: next_at }
}

/** The next sweep is due at once. */
export async function requestSweep(trx: Trx, now: number): Promise<void> {
  await trx
    .updateTable('sweeps')
    .set({ next_at: now })
    .where('name', '=', 'live')
    .where('next_at', '>', now)
    .execute()
}
