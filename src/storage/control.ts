import { sql } from 'kysely'
import { giveTimeBack } from './pauses.ts'
import type { ControlTable, Db, Trx } from './schema.ts'

/** What stands in the way of every call, as it was when the last process wrote it down. */
export function loadControl(db: Db): Promise<ControlTable[]> {
  return db.selectFrom('control').selectAll().execute()
}

/** Writes it down, unless what is there lasts longer: a pause is never shortened. */
export async function setControl(trx: Trx, control: ControlTable): Promise<void> {
  await trx
    .insertInto('control')
    .values(control)
    .onConflict((conflict) =>
      conflict
        .column('name')
        .doUpdateSet({ since: sql`excluded.since`, until: sql`excluded.until`, why: sql`excluded.why` })
        .where('control.until', '<', control.until),
    )
    .execute()
}

/**
 * The one call that may ask whether refused credentials work again: whoever gets true makes it, and nobody else does
 * before `until` (epoch ms).
 */
export async function takeProbe(trx: Trx, now: number, until: number): Promise<boolean> {
  const taken = await trx
    .updateTable('control')
    .set({ until })
    .where('name', '=', 'refusal')
    .where('until', '<=', now)
    .returning('name')
    .executeTakeFirst()
  return taken !== undefined
}

/**
 * The credentials work again. RETRY_FOR did not run while they did not: what was being retried when they were
 * refused gets that time back.
 */
export async function endRefusal(trx: Trx, now: number): Promise<void> {
  const refusal = await trx
    .deleteFrom('control')
    .where('name', '=', 'refusal')
    .returningAll()
    .executeTakeFirst()
  if (!refusal) return
  await giveTimeBack(trx, refusal.since, now)
}
