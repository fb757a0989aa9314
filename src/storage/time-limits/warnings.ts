import { type Warning, warningAfter, warningAt } from '../../time-limits/warnings.ts'
import { PENDING } from '../endings/conditions.ts'
import { compiledOnce } from '../engine/compiled.ts'
import type { Db, EndingRow, Engine, Trx, WarningRow } from '../schema.ts'

/** When the next warning is due (epoch ms). */
export async function nextWarning(db: Db): Promise<number | undefined> {
  const row = await db
    .selectFrom('endings')
    .select('warn_at')
    .where('state', '=', PENDING)
    .where('warn_at', 'is not', null)
    .orderBy('warn_at')
    .limit(1)
    .executeTakeFirst()
  return row?.warn_at ?? undefined
}

/**
 * Takes the next warning that is due and marks it, so that it is sent once at most whatever happens. `warning` is
 * undefined where it was given before for the same time, or comes too late; undefined altogether where none is due.
 */
export async function markWarning(
  trx: Trx,
  engine: Engine,
  now: number,
): Promise<{ ending: EndingRow; warning: Warning | undefined } | undefined> {
  const ending = await trx
    .selectFrom('endings')
    .selectAll()
    .where('state', '=', PENDING)
    .where('warn_at', '<=', now)
    .orderBy('warn_at')
    .limit(1)
    .$if(engine === 'postgres', (query) => query.forUpdate().skipLocked())
    .executeTakeFirst()
  if (!ending) return undefined
  const minutes: number[] = JSON.parse(ending.warn_minutes ?? '[]')
  await trx
    .updateTable('endings')
    .set({ warn_at: warningAfter(ending.due_at, minutes, now) })
    .where('id', '=', ending.id)
    .execute()
  const warning = warningAt(ending.due_at, minutes, now)
  return { ending, warning: warning && (await mark(trx, ending, warning, now)) ? warning : undefined }
}

async function mark(
  trx: Trx,
  ending: EndingRow,
  { minutes, toldMinutes }: Warning,
  now: number,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('warnings')
    .values({
      ending_id: ending.id,
      due_at: ending.due_at,
      minutes,
      told_minutes: toldMinutes,
      marked_at: now,
      sent_at: null,
      result: 'begun',
    })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst()
  return Number(numInsertedOrUpdatedRows) === 1
}

export async function finishWarning(
  trx: Trx,
  ending: EndingRow,
  { minutes }: Warning,
  result: WarningRow['result'],
  now: number,
): Promise<void> {
  await trx
    .updateTable('warnings')
    .set({ result, sent_at: result === 'sent' ? now : null })
    .where('ending_id', '=', ending.id)
    .where('due_at', '=', ending.due_at)
    .where('minutes', '=', minutes)
    .execute()
}

/** In the order in which they were given. */
export async function warningsOf(db: Db, endingId: string): Promise<WarningRow[]> {
  return (await selectWarnings(db, { endingId })).rows
}

const selectWarnings = compiledOnce((db, at: { endingId: string }) =>
  db
    .selectFrom('warnings')
    .selectAll()
    .where('ending_id', '=', at.endingId)
    .orderBy('marked_at')
    .orderBy('minutes', 'desc'),
)
