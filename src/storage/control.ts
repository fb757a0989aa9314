import { sql } from 'kysely'
import { PENDING } from './endings/pending.ts'
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
  await trx
    .updateTable('endings')
    .set({
      retry_since: sql<number>`case when retry_since < ${refusal.since} then retry_since + ${now - refusal.since} else ${now} end`,
    })
    .where('state', '=', PENDING)
    .where('retry_since', 'is not', null)
    .execute()
}

/** When the end calls since `since` began (epoch ms, ascending): what the budget of a fresh process starts with. */
export async function callsSince(db: Db, since: number): Promise<number[]> {
  const rows = await db
    .selectFrom('attempts')
    .select('started_at')
    .where('started_at', '>', since)
    .orderBy('started_at')
    .execute()
  return rows.map((row) => row.started_at)
}
