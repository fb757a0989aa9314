import { sql } from 'kysely'
import { formatTime } from '../../time.ts'
import { compiledOnce } from '../engine/compiled.ts'
import type { ChangeRow, ChangesTable, Db, EndingRow, Trx } from '../schema.ts'

/** Who changed an ending, and from what to what: only what is different, as callers see it. */
export interface ChangeNote {
  ending: EndingRow
  by: string
  change: ChangesTable['change']
  from: object
  to: object
}

/** Whoever changes what nobody asked it to change just now: a rule's consequence, a session that lives on. */
export const CURFEW = 'curfew'

/** As many are kept of one ending, beside the first: somebody who moves it every second must not fill the disk. */
const CHANGES_KEPT = 100
const ROWS_IN_ONE = 50

/** Writes changes down, each ending at most once, in the transaction that makes them. */
export async function noteChanges(trx: Trx, notes: ChangeNote[], now: number): Promise<void> {
  for (let from = 0; from < notes.length; from += ROWS_IN_ONE) {
    const rows = notes.slice(from, from + ROWS_IN_ONE).map((note) => rowOf(note, now))
    const written = await trx.insertInto('changes').values(rows).returning(['ending_id', 'seq']).execute()
    for (const { ending_id, seq } of written)
      if (seq > CHANGES_KEPT + 1)
        await trx
          .deleteFrom('changes')
          .where('ending_id', '=', ending_id)
          .where('seq', '>', 1)
          .where('seq', '<=', seq - CHANGES_KEPT)
          .execute()
  }
}

function rowOf({ ending, by, change, from, to }: ChangeNote, now: number) {
  const next = sql<number>`(select coalesce(max(seq), 0) + 1 from changes where ending_id = ${ending.id})`
  return {
    ending_id: ending.id,
    seq: next,
    at: now,
    by,
    change,
    before: JSON.stringify(from),
    after: JSON.stringify(to),
  }
}

/** In their order. The number of the last one is how many there have been. */
export async function changesOf(db: Db | Trx, endingId: string): Promise<ChangeRow[]> {
  return (await selectChanges(db, { endingId })).rows
}

const selectChanges = compiledOnce((db, at: { endingId: string }) =>
  db.selectFrom('changes').selectAll().where('ending_id', '=', at.endingId).orderBy('seq'),
)

export function noteMoved(
  trx: Trx,
  ending: EndingRow,
  before: Pick<EndingRow, 'due_at'>,
  by: string,
  now: number,
): Promise<void> {
  if (ending.due_at === before.due_at) return Promise.resolve()
  const from = { dueAt: formatTime(before.due_at) }
  const to = { dueAt: formatTime(ending.due_at) }
  return noteChanges(trx, [{ ending, by, change: 'moved', from, to }], now)
}
