import { type ExpressionBuilder, sql } from 'kysely'
import type { EndingRow, Tables, Trx } from '../schema.ts'

/** A literal, because SQLite matches a partial index only to a condition that it can read while planning. */
export const PENDING = sql.lit('pending' as const)
export const FAILED = sql.lit('failed' as const)

/** Of an ending: nobody is carrying it out. */
export function isUnclaimed(now: number) {
  return (eb: ExpressionBuilder<Tables, 'endings'>) =>
    eb.or([eb('endings.claimed_until', 'is', null), eb('endings.claimed_until', '<=', now)])
}

/** Of an ending that is over: no pending one of its party has taken its key meanwhile. */
export function hasItsKey({ not, exists, selectFrom }: ExpressionBuilder<Tables, 'endings'>) {
  return not(
    exists(
      selectFrom('endings as other')
        .select('other.id')
        .where('other.state', '=', PENDING)
        .whereRef('other.requested_by', '=', 'endings.requested_by')
        .whereRef('other.key', '=', 'endings.key'),
    ),
  )
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
