import type { NotificationType } from '../../notification.ts'
import { compiledOnce, engineOf } from '../engine/compiled.ts'
import { newId } from '../engine/ids.ts'
import type { Db, EndingRow, NotificationRow, Trx } from '../schema.ts'

/*
 * What is written into the outbox, in the transaction of the transition that it tells of. Whose endings are told of is
 * kept beside each database, since every transition asks for it, however deep it is called.
 */
const TOLD = new WeakMap<object, ReadonlySet<string>>()

/** From now on the endings of these callers are told of, whatever changes them through `db`. */
export function tellOf(db: Db, callers: ReadonlySet<string>): void {
  TOLD.set(db.getExecutor().adapter, callers)
}

/** Writes down what is to be told of these endings, as they are now (epoch ms). */
export async function enqueue(
  trx: Trx,
  endings: EndingRow[],
  type: NotificationType,
  now: number,
): Promise<void> {
  const told = TOLD.get(trx.getExecutor().adapter)
  if (told === undefined || told.size === 0) return
  const rows = endings
    .filter(({ requested_by }) => told.has(requested_by))
    .map((ending) => rowOf(ending, type, now))
  if (rows.length === 0) return
  if (engineOf(trx) === 'sqlite') for (const row of rows) await insertOne(trx, row)
  else for (let from = 0; from < rows.length; from += ROWS_IN_ONE) await insertSome(trx, rows, from)
}

const ROWS_IN_ONE = 200

const COLUMNS = [
  'id',
  'ending_id',
  'caller',
  'type',
  'state',
  'ending',
  'created_at',
  'attempt',
  'retry_base',
  'next_attempt_at',
] as const
type New = Pick<NotificationRow, (typeof COLUMNS)[number]>

const insertOne = compiledOnce((db, row: New & Record<string, unknown>) =>
  db
    .insertInto('notifications')
    .values(Object.fromEntries(COLUMNS.map((column) => [column, row[column]])) as unknown as New),
)

async function insertSome(trx: Trx, rows: New[], from: number): Promise<void> {
  await trx
    .insertInto('notifications')
    .values(rows.slice(from, from + ROWS_IN_ONE))
    .execute()
}

function rowOf(ending: EndingRow, type: NotificationType, now: number): New {
  return {
    id: newId(now),
    ending_id: ending.id,
    caller: ending.requested_by,
    type,
    state: 'pending',
    ending: JSON.stringify({ ...ending, previous: null }),
    created_at: now,
    attempt: 0,
    retry_base: 0,
    next_attempt_at: now,
  }
}
