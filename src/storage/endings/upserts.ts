import { setImmediate as nextTurn } from 'node:timers/promises'
import { type InsertQueryBuilder, type InsertResult, type QueryResult, sql } from 'kysely'
import type { Clock } from '../../clock.ts'
import { type Instruction, targetColumns } from '../../ending.ts'
import { nextWarningAt } from '../../time-limits/warnings.ts'
import { newTraceparent } from '../../traceparent.ts'
import { compiledOnce, engineOf } from '../engine/compiled.ts'
import type { Batched } from '../engine/group-commit.ts'
import { newId } from '../engine/ids.ts'
import type { Db, EndingRow, Engine, Tables, Trx } from '../schema.ts'
import { Closures } from '../time-limits/closures.ts'
import { newClaim } from './asked-anew.ts'
import { mayCall } from './claims.ts'
import { PENDING } from './conditions.ts'
import { noteReplaced, previousOf, type Stored } from './replacements.ts'

/** What is to be stored, and until when (epoch ms) whoever stores it has it for itself: null for nobody. */
export interface Upsert {
  instruction: Instruction
  claimedUntil: number | null
}

/** Instructions that are stored together, where nothing else is to be done for them. */
export function upserts(clock: Clock, warnMinutes: number[]): Batched<Upsert, Stored> {
  return {
    run: (trx, all) => upsertEndings(trx, all, clock.now(), warnMinutes),
    isOneStatement: (all, engine) =>
      all.every(({ instruction: { key, hold } }) => key === null && !hold) &&
      (engine === 'postgres'
        ? all.length <= MOST_ROWS
        : (ROWS_IN_ONE as readonly number[]).includes(all.length)),
  }
}

// On SQLite each number of rows is another statement, and compiling one costs more than running it: there are these
// and no others. On PostgreSQL the rows are one parameter.
const ROWS_IN_ONE = [64, 16, 4, 1] as const
const MOST_ROWS = 200

/**
 * Stores instructions as new pending endings, in their order; where the same party has a pending one with the same
 * key, that one is replaced under its old id instead. Answers in the same order.
 */
export async function upsertEndings(
  trx: Trx,
  all: Upsert[],
  now: number,
  warnMinutes: number[] = [],
  closures?: Closures,
): Promise<Stored[]> {
  const rows = all.map((one) => newRow(one, now, one.instruction.warnMinutes ?? warnMinutes))
  const order = lockOrder(rows)
  const sorted = order.map((i) => rows[i] as EndingRow)
  const answers = new Array<Stored>(rows.length)
  for (let from = 0; from < rows.length; ) {
    const count = howMany(sorted, from, engineOf(trx))
    const some = await upsertSome(trx, sorted.slice(from, from + count), now)
    for (const [i, answer] of some.entries()) answers[order[from + i] as number] = answer
    from += count
    // A thousand of one request must not hold up everybody who only wants to be heard.
    if (from < rows.length) await nextTurn()
  }
  await noteReplaced(trx, answers, now)
  if (closures || all.some(isAboutHolds)) await keepClosed(closures ?? new Closures(trx, now), all, answers)
  return answers
}

// One without a key replaces none, and so none's hold.
const isAboutHolds = ({ instruction: { key, hold } }: Upsert) => key !== null || hold !== undefined

/**
 * By their keys, and as they came where those are the same. Whoever locks several rows in one statement, here or in another
 * replica, locks them in this order, so that no two wait for each other.
 */
export function lockOrder(rows: Array<Pick<EndingRow, 'requested_by' | 'key'>>): number[] {
  const order = rows.map((_, i) => i)
  if (rows.every(({ key }) => key === null)) return order
  const names = rows.map((row) => nameOf(row) ?? '')
  return order.sort((a, b) => {
    const [one, other] = [names[a] as string, names[b] as string]
    return one === other ? a - b : one < other ? -1 : 1
  })
}

/** The holds that instructions ask for, each in the place of the one that a replaced ending had. */
async function keepClosed(closures: Closures, all: Upsert[], answers: Stored[]): Promise<void> {
  const closing: Parameters<Closures['close']>[0] = []
  for (const [i, answer] of answers.entries()) {
    if ('obstacle' in answer) continue
    const { requestedBy, reason, subject, target: room, hold } = (all[i] as Upsert).instruction
    const { ending, replaced } = answer
    if (replaced) {
      // One that was stored a moment ago may be replaced already.
      await closures.close(closing.splice(0))
      const { endings } = await closures.lift({ endingId: ending.id }, requestedBy)
      if (endings.length > 0) answer.takenBack = endings
    }
    if (hold) closing.push({ ...hold, room, requestedBy, reason, subject, endingId: ending.id })
  }
  await closures.close(closing)
}

/** How many of the rows from `from` on one statement may take: PostgreSQL refuses to change a row twice in one. */
function howMany(rows: EndingRow[], from: number, engine: Engine): number {
  const isPossible = (count: number) =>
    engine === 'postgres' ? count <= MOST_ROWS : (ROWS_IN_ONE as readonly number[]).includes(count)
  const seen = new Set<string>()
  let most = 1
  for (let count = 1; from + count <= rows.length && count <= MOST_ROWS; count += 1) {
    const name = nameOf(rows[from + count - 1] as EndingRow)
    if (name !== undefined && seen.has(name)) break
    if (name !== undefined) seen.add(name)
    if (isPossible(count)) most = count
  }
  return most
}

function nameOf({ requested_by, key }: Pick<EndingRow, 'requested_by' | 'key'>): string | undefined {
  return key === null ? undefined : `${requested_by} ${key}`
}

async function upsertSome(trx: Trx, rows: EndingRow[], now: number): Promise<Stored[]> {
  const kept =
    engineOf(trx) === 'postgres'
      ? await upsertAsJson(trx, { rows: JSON.stringify(rows), now })
      : await upsertRows[rows.length as (typeof ROWS_IN_ONE)[number]](trx, valuesOf(rows, now))
  const byId = new Map(kept.rows.map((row) => [row.id, row]))
  const byName = new Map(kept.rows.map((row) => [nameOf(row), row]))
  return rows.map((row) => {
    const kept = byId.get(row.id) ?? (row.key === null ? undefined : byName.get(nameOf(row)))
    if (!kept) return { obstacle: 'in-progress' }
    return { ending: { ...row, ...kept, retry_base: kept.attempt }, replaced: kept.id !== row.id }
  })
}

// What a replaced row keeps of what it was; all else is as it was asked for.
const KEPT = [
  'id',
  'created_at',
  'attempt',
  'claim',
  'claimed_until',
  'reopened',
  'requested_by',
  'key',
  'previous',
  'last_error',
  'last_error_at',
] as const
type Kept = Pick<EndingRow, (typeof KEPT)[number]>

/** The time it is now, then what each row has in each column. */
type Values = unknown[]

const place = (row: number, column: number) => 1 + row * COLUMNS.length + column

function valuesOf(rows: EndingRow[], now: number): Values {
  const values: Values = [now]
  for (const row of rows) for (const column of COLUMNS) values.push(row[column])
  return values
}

const upsertRows = Object.fromEntries(
  ROWS_IN_ONE.map((count) => [
    count,
    compiledOnce((db, at: Values) => {
      const rows = Array.from({ length: count }, (_, row) =>
        Object.fromEntries(COLUMNS.map((column, i) => [column, at[place(row, i)]])),
      )
      const insert = db.insertInto('endings').values(rows as unknown as EndingRow[])
      return replacing(db, insert, at[0] as number)
    }),
  ]),
) as Record<(typeof ROWS_IN_ONE)[number], (db: Trx, values: Values) => Promise<QueryResult<Kept>>>

const upsertAsJson = compiledOnce((db, at: { rows: string; now: number }) => {
  const types = sql.raw(COLUMNS.map((column) => `${column} ${ENDING_COLUMNS[column]}`).join(', '))
  const named = sql<EndingRow>`(select * from jsonb_to_recordset(cast(${at.rows} as jsonb)) as row (${types}))`
  const values = COLUMNS.map((column) =>
    column === 'claimed_until' ? unlessOthersAreDue(db, at.now).as(column) : sql.ref(column).as(column),
  )
  const insert = db
    .insertInto('endings')
    .columns(COLUMNS)
    // biome-ignore lint/suspicious/noExplicitAny: the columns are those of the table, which Kysely cannot know
    .expression(db.selectFrom(named.as('row')).select(values as any) as any)
  return replacing(db, insert, at.now)
})

/** Another replica may have left something that is due before, or have stopped all calls: nobody has this for itself then. */
function unlessOthersAreDue(db: Db | Trx, now: number) {
  const others = db
    .selectFrom('endings as other')
    .select('other.id')
    .where('other.state', '=', PENDING)
    .where('other.next_attempt_at', '<=', now)
    .where((eb) => eb.or([eb('other.claimed_until', 'is', null), eb('other.claimed_until', '<=', now)]))
  return sql`case when row.claimed_until is not null and ${mayCall(now, 0, sql<string>`row.requested_by`)} and not exists ${others}
    then row.claimed_until end`
}

function replacing(db: Db | Trx, insert: InsertQueryBuilder<Tables, 'endings', InsertResult>, now: number) {
  return insert
    .onConflict((conflict) =>
      conflict
        .columns(['requested_by', 'key'])
        .where('state', '=', PENDING)
        .where('key', 'is not', null)
        .doUpdateSet((eb) => ({
          target_kind: eb.ref('excluded.target_kind'),
          target_id: eb.ref('excluded.target_id'),
          reason: eb.ref('excluded.reason'),
          subject: eb.ref('excluded.subject'),
          urgent: eb.ref('excluded.urgent'),
          metadata: eb.ref('excluded.metadata'),
          due_at: eb.ref('excluded.due_at'),
          next_attempt_at: eb.ref('excluded.next_attempt_at'),
          warn_minutes: eb.ref('excluded.warn_minutes'),
          warn_at: eb.ref('excluded.warn_at'),
          previous: previousOf(db),
          traceparent: eb.ref('excluded.traceparent'),
          ...newClaim,
          claimed_until: eb.ref('excluded.claimed_until'),
        }))
        .where((eb) =>
          eb.or([eb('endings.claimed_until', 'is', null), eb('endings.claimed_until', '<=', now)]),
        ),
    )
    .returning([...KEPT])
}

const ENDING_COLUMNS = {
  id: 'text',
  state: 'text',
  target_kind: 'text',
  target_id: 'text',
  reason: 'text',
  requested_by: 'text',
  key: 'text',
  subject: 'text',
  urgent: 'integer',
  due_at: 'bigint',
  next_attempt_at: 'bigint',
  attempt: 'integer',
  claim: 'integer',
  claimed_until: 'bigint',
  retry_since: 'bigint',
  retry_base: 'integer',
  outcome: 'text',
  failure: 'text',
  created_at: 'bigint',
  finished_at: 'bigint',
  confirmed_at: 'bigint',
  metadata: 'text',
  confirm_at: 'bigint',
  reopened: 'integer',
  warn_minutes: 'text',
  warn_at: 'bigint',
  previous: 'text',
  last_error: 'text',
  last_error_at: 'bigint',
  traceparent: 'text',
} as const satisfies Record<keyof EndingRow, string>
const COLUMNS = Object.keys(ENDING_COLUMNS) as Array<keyof EndingRow>

function newRow({ instruction, claimedUntil }: Upsert, now: number, warnMinutes: number[]): EndingRow {
  return {
    id: newId(now),
    state: 'pending',
    ...targetColumns(instruction.target),
    reason: instruction.reason,
    requested_by: instruction.requestedBy,
    key: instruction.key,
    subject: instruction.subject,
    urgent: instruction.urgent ? 1 : 0,
    due_at: instruction.dueAt,
    next_attempt_at: Math.max(instruction.dueAt, now),
    attempt: 0,
    claim: claimedUntil === null ? 0 : 1,
    claimed_until: claimedUntil,
    retry_since: null,
    retry_base: 0,
    outcome: null,
    failure: null,
    created_at: now,
    finished_at: null,
    confirmed_at: null,
    metadata: JSON.stringify(instruction.metadata),
    confirm_at: null,
    reopened: 0,
    warn_minutes: warnMinutes.length > 0 ? JSON.stringify(warnMinutes) : null,
    warn_at: warnMinutes.length > 0 ? nextWarningAt(instruction.dueAt, warnMinutes, now) : null,
    previous: null,
    last_error: null,
    last_error_at: null,
    traceparent: instruction.traceparent ?? newTraceparent(),
  }
}
