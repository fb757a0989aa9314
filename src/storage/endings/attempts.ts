import { compiledOnce } from '../engine/compiled.ts'
import type { AttemptRow, Db, EndingRow, Trx } from '../schema.ts'

/** One end call as the worker saw it; its id makes it one row however often it is written down. */
export type Call = Omit<AttemptRow, 'ending_id' | 'attempt' | 'confirmed_at'>

/** The columns of `attempts`, and what they are called on PostgreSQL. */
export const ATTEMPT_COLUMNS = {
  id: 'text',
  ending_id: 'text',
  attempt: 'integer',
  session: 'text',
  started_at: 'bigint',
  duration_ms: 'integer',
  status: 'integer',
  result: 'text',
  error: 'text',
  confirmed_at: 'bigint',
} as const satisfies Record<keyof AttemptRow, string>
const COLUMNS = Object.keys(ATTEMPT_COLUMNS) as Array<keyof AttemptRow>

// "It was over already" is what a look-up said, so that session was seen.
export function attemptRows(claimed: EndingRow, calls: Call[], now: number): AttemptRow[] {
  return calls.map((call) => ({
    ...call,
    ending_id: claimed.id,
    attempt: claimed.attempt + 1,
    confirmed_at: call.result === 'already_ended' ? now : null,
  }))
}

export const insertAttempt = compiledOnce((db, row: AttemptRow & Record<string, unknown>) =>
  db
    .insertInto('attempts')
    .values(Object.fromEntries(COLUMNS.map((column) => [column, row[column]])) as unknown as AttemptRow)
    .onConflict((conflict) => conflict.column('id').doNothing()),
)

/** Written down twice, they are there once. Returns those that were not there. */
export async function insertAttempts(
  trx: Trx,
  rows: AttemptRow[],
): Promise<Array<Pick<AttemptRow, 'status'>>> {
  if (rows.length === 0) return []
  return trx
    .insertInto('attempts')
    .values(rows)
    .onConflict((conflict) => conflict.column('id').doNothing())
    .returning('status')
    .execute()
}

/** In the order in which the calls were made. */
export function attemptsOf(db: Db | Trx, id: string): Promise<AttemptRow[]> {
  return db
    .selectFrom('attempts')
    .selectAll()
    .where('ending_id', '=', id)
    .orderBy('started_at')
    .orderBy('id')
    .execute()
}
