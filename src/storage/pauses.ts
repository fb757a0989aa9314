import { sql } from 'kysely'
import { PENDING } from './endings/conditions.ts'
import { engineOf } from './engine/compiled.ts'
import type { Db, PausesTable, Trx } from './schema.ts'

/** The pause of everything stands under this name. */
export const EVERYBODY = ''

export function loadPauses(db: Db | Trx): Promise<PausesTable[]> {
  return db.selectFrom('pauses').selectAll().orderBy('since').execute()
}

/**
 * From the commit on, nothing of that caller is claimed any more by any process. A pause that is in force keeps its
 * `since`, and is told who has confirmed it last.
 */
export async function setPause(trx: Trx, pause: PausesTable): Promise<PausesTable> {
  // A claim that has looked before this one commits is committed before it: then whoever looks afterwards finds it.
  if (engineOf(trx) === 'postgres') await sql`lock table pauses in access exclusive mode`.execute(trx)
  return trx
    .insertInto('pauses')
    .values(pause)
    .onConflict((conflict) =>
      conflict.column('caller').doUpdateSet({ paused_by: pause.paused_by, reason: pause.reason }),
    )
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Undefined where it was not paused. RETRY_FOR did not run meanwhile: what was being retried gets that time back. */
export async function endPause(trx: Trx, caller: string, now: number): Promise<PausesTable | undefined> {
  const pause = await trx.deleteFrom('pauses').where('caller', '=', caller).returningAll().executeTakeFirst()
  if (pause) await giveTimeBack(trx, pause.since, now, caller)
  return pause
}

/** What has been tried before `since` is tried for so much longer as no call could leave (epoch ms). */
export async function giveTimeBack(trx: Trx, since: number, now: number, caller = EVERYBODY): Promise<void> {
  await trx
    .updateTable('endings')
    .set({
      retry_since: sql<number>`case when retry_since < ${since} then retry_since + ${now - since} else ${now} end`,
    })
    .where('state', '=', PENDING)
    .where('retry_since', 'is not', null)
    .$if(caller !== EVERYBODY, (query) => query.where('requested_by', '=', caller))
    .execute()
}

/**
 * Whether some process may still make a call for that caller, or for anybody: it has claimed an ending, or, where
 * everything is paused, has a permit that it may spend: one that has been spent is free within `windowMs`.
 */
export async function isCalling(db: Db, caller: string, now: number, windowMs: number): Promise<boolean> {
  const claimed = await db
    .selectFrom('endings')
    .select('id')
    .where('state', '=', PENDING)
    .where('claimed_until', '>', now)
    .$if(caller !== EVERYBODY, (query) => query.where('requested_by', '=', caller))
    .limit(1)
    .executeTakeFirst()
  if (claimed || caller !== EVERYBODY) return claimed !== undefined
  const permit = await db
    .selectFrom('permits')
    .select('slot')
    .where('free_at', '>', now + windowMs)
    .limit(1)
    .executeTakeFirst()
  return permit !== undefined
}
