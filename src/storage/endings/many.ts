import type { Db, EndingRow, Trx } from '../schema.ts'
import { Closures } from '../time-limits/closures.ts'
import { hasItsKey, isUnclaimed, PENDING } from './conditions.ts'
import { cancelAmong, retry } from './transitions.ts'

/** What can be done to many endings at once. */
export type ManyChange = 'cancel' | 'retry'

/** What became of some of them: the endings that were changed, and what only their holds had asked for. */
export interface SomeChanged {
  changed: EndingRow[]
  takenBack: EndingRow[]
}

/** Takes those back that nobody is carrying out, and opens the rooms that they would have kept closed. */
export async function cancelSome(trx: Trx, ids: string[], by: string, now: number): Promise<SomeChanged> {
  const changed = await cancelAmong(trx, ids, by, now)
  if (changed.length === 0) return { changed, takenBack: [] }
  const holding = await trx
    .selectFrom('holds')
    .select('ending_id')
    .where(
      'ending_id',
      'in',
      changed.map(({ id }) => id),
    )
    .where('lifted_at', 'is', null)
    .execute()
  const takenBack: EndingRow[] = []
  for (const { ending_id } of holding) {
    const { endings } = await new Closures(trx, now).lift({ endingId: ending_id as string }, by)
    takenBack.push(...endings)
  }
  return { changed, takenBack }
}

/** Of those that have failed, each that has not lost its key to another becomes pending. */
export async function retrySome(trx: Trx, rows: EndingRow[], by: string, now: number): Promise<SomeChanged> {
  const changed: EndingRow[] = []
  for (const row of rows) {
    const ending = await retry(trx, row, by, now)
    if (ending) changed.push(ending)
  }
  return { changed, takenBack: [] }
}

/** Those of these that could be taken back now. */
export async function cancellable(db: Db, ids: string[], now: number): Promise<string[]> {
  if (ids.length === 0) return []
  const rows = await db
    .selectFrom('endings')
    .select('id')
    .where('id', 'in', ids)
    .where('state', '=', PENDING)
    .where(isUnclaimed(now))
    .execute()
  return rows.map(({ id }) => id)
}

/** Those of these that could be tried again now: those whose key no pending ending has. */
export async function retriable(db: Db, ids: string[]): Promise<string[]> {
  if (ids.length === 0) return []
  const rows = await db
    .selectFrom('endings')
    .select('id')
    .where('id', 'in', ids)
    .where('state', '=', 'failed')
    .where(hasItsKey)
    .execute()
  return rows.map(({ id }) => id)
}
