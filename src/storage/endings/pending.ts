import { type ExpressionBuilder, sql } from 'kysely'
import type { EndingRow, Tables, Trx } from '../schema.ts'
import { noteCancelled } from './change-log.ts'

/** A literal, because SQLite matches a partial index only to a condition that it can read while planning. */
export const PENDING = sql.lit('pending' as const)
export const FAILED = sql.lit('failed' as const)

/** Of an ending: nobody is carrying it out. */
export function isUnclaimed(now: number) {
  return (eb: ExpressionBuilder<Tables, 'endings'>) =>
    eb.or([eb('endings.claimed_until', 'is', null), eb('endings.claimed_until', '<=', now)])
}

/** Those of these endings that are pending and that nobody is carrying out. */
export async function stillWaiting(trx: Trx, ids: string[], now: number): Promise<Map<string, EndingRow>> {
  if (ids.length === 0) return new Map()
  const rows = await trx
    .selectFrom('endings')
    .selectAll()
    .where('id', 'in', ids)
    .where('state', '=', PENDING)
    .where(isUnclaimed(now))
    .execute()
  return new Map(rows.map((row) => [row.id, row]))
}

/** The guarded change that takes pending endings back; which of them, the caller adds. */
export function cancelling(trx: Trx, now: number) {
  return trx
    .updateTable('endings')
    .set((eb) => ({
      state: 'cancelled',
      finished_at: now,
      claim: eb('endings.claim', '+', 1),
      claimed_until: null,
    }))
    .where('state', '=', PENDING)
    .where(isUnclaimed(now))
}

/** Takes back those of these endings that are still waiting; in the order of their ids. `by` is whose doing that is. */
export async function takeBack(trx: Trx, ids: string[], by: string, now: number): Promise<EndingRow[]> {
  if (ids.length === 0) return []
  const rows = await cancelling(trx, now).where('id', 'in', ids).returningAll().execute()
  const sorted = rows.sort((a, b) => (a.id < b.id ? -1 : 1))
  await noteCancelled(trx, sorted, by, now)
  return sorted
}
