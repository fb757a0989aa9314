import { setImmediate as nextTurn } from 'node:timers/promises'
import type { CompiledQuery } from 'kysely'
import { type Instruction, targetColumns } from '../../ending.ts'
import { nextWarningAt } from '../../time-limits/warnings.ts'
import { newId } from '../engine/ids.ts'
import type { EndingRow, Trx } from '../schema.ts'
import { Closures } from '../time-limits/closures.ts'
import { newClaim } from './endings.ts'
import { PENDING } from './pending.ts'
import { noteReplaced, previousOf } from './replacements.ts'

/**
 * What became of an instruction: `in-progress` where the pending one with its key is being carried out just now.
 * `takenBack` are endings that only the hold of the replaced one has asked for.
 */
export type Stored =
  | { ending: EndingRow; replaced: boolean; takenBack?: EndingRow[] }
  | { obstacle: 'in-progress' }

// Compiling a statement costs more than running it, so there are these and no others, each compiled once.
const ROWS_IN_ONE = [64, 16, 4, 1] as const

/**
 * Stores instructions as new pending endings, in their order; where the same party has a pending one with the same
 * key, that one is replaced under its old id instead. Answers in the same order.
 */
export async function putEndings(
  trx: Trx,
  wishes: Instruction[],
  now: number,
  warnMinutes: number[] = [],
  closures = new Closures(trx, now),
): Promise<Stored[]> {
  const rows = wishes.map((wish) => newRow(wish, now, wish.warnMinutes ?? warnMinutes))
  const order = lockOrder(rows)
  const sorted = order.map((i) => rows[i] as EndingRow)
  const answers = new Array<Stored>(rows.length)
  for (let from = 0; from < rows.length; ) {
    const count = howMany(sorted, from)
    const some = await putTogether(trx, sorted.slice(from, from + count), now)
    for (const [i, answer] of some.entries()) answers[order[from + i] as number] = answer
    from += count
    // A thousand of one request must not hold up everybody who only wants to be heard.
    if (from < rows.length) await nextTurn()
  }
  await noteReplaced(trx, answers, now)
  await keepClosed(closures, wishes, answers)
  return answers
}

/** By their keys, and as they came where those are the same: two replicas that replace the same must not deadlock. */
function lockOrder(rows: EndingRow[]): number[] {
  const order = rows.map((_, i) => i)
  if (rows.every(({ key }) => key === null)) return order
  const names = rows.map((row) => nameOf(row) ?? '')
  return order.sort((a, b) => {
    const [one, other] = [names[a] as string, names[b] as string]
    return one === other ? a - b : one < other ? -1 : 1
  })
}

/** The holds that instructions ask for, each in the place of the one that a replaced ending had. */
async function keepClosed(closures: Closures, wishes: Instruction[], answers: Stored[]): Promise<void> {
  const closing: Parameters<Closures['close']>[0] = []
  for (const [i, answer] of answers.entries()) {
    if ('obstacle' in answer) continue
    const { requestedBy, reason, subject, target: room, hold } = wishes[i] as Instruction
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
function howMany(rows: EndingRow[], from: number): number {
  const most = ROWS_IN_ONE.find((count) => from + count <= rows.length) as number
  const seen = new Set<string>()
  for (let i = 0; i < most; i += 1) {
    const name = nameOf(rows[from + i] as EndingRow)
    if (name !== undefined && seen.has(name)) return ROWS_IN_ONE.find((count) => count <= i) as number
    if (name !== undefined) seen.add(name)
  }
  return most
}

function nameOf({ requested_by, key }: Pick<EndingRow, 'requested_by' | 'key'>): string | undefined {
  return key === null ? undefined : `${requested_by} ${key}`
}

async function putTogether(trx: Trx, rows: EndingRow[], now: number): Promise<Stored[]> {
  const put = compiled(trx, rows)
  const parameters = put.places.map((place) => {
    if (place === NOW) return now
    return place && rows[place.row]?.[place.column]
  })
  const result = await trx.executeQuery<Kept>({ ...put.query, parameters })
  const byId = new Map(result.rows.map((kept) => [kept.id, kept]))
  const byName = new Map(result.rows.map((kept) => [nameOf(kept), kept]))
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
  'reopened',
  'requested_by',
  'key',
  'previous',
  'last_error',
  'last_error_at',
] as const
type Kept = Pick<EndingRow, (typeof KEPT)[number]>

const NOW = 'now'
interface Put {
  query: CompiledQuery<Kept>
  /** where the value of each parameter comes from; null is null */
  places: Array<{ row: number; column: keyof EndingRow } | typeof NOW | null>
}
const puts = new WeakMap<object, Map<number, Put>>()

function compiled(trx: Trx, rows: EndingRow[]): Put {
  const adapter = trx.getExecutor().adapter
  const known = puts.get(adapter) ?? new Map<number, Put>()
  puts.set(adapter, known)
  const put = known.get(rows.length) ?? compile(trx, rows)
  known.set(rows.length, put)
  return put
}

// Compiled with the places in the places of the values.
function compile(trx: Trx, rows: EndingRow[]): Put {
  const columns = Object.keys(rows[0] as EndingRow) as Array<keyof EndingRow>
  const places = rows.map((_, row) => Object.fromEntries(columns.map((column) => [column, { row, column }])))
  const query = trx
    .insertInto('endings')
    .values(places as unknown as EndingRow[])
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
          previous: previousOf(trx),
          ...newClaim,
        }))
        .where((eb) =>
          eb.or([
            eb('endings.claimed_until', 'is', null),
            eb('endings.claimed_until', '<=', NOW as unknown as number),
          ]),
        ),
    )
    .returning([...KEPT])
    .compile()
  return { query, places: query.parameters as Put['places'] }
}

function newRow(wish: Instruction, now: number, warnMinutes: number[]): EndingRow {
  return {
    id: newId(now),
    state: 'pending',
    ...targetColumns(wish.target),
    reason: wish.reason,
    requested_by: wish.requestedBy,
    key: wish.key,
    subject: wish.subject,
    urgent: wish.urgent ? 1 : 0,
    due_at: wish.dueAt,
    next_attempt_at: Math.max(wish.dueAt, now),
    attempt: 0,
    claim: 0,
    claimed_until: null,
    retry_since: null,
    retry_base: 0,
    outcome: null,
    failure: null,
    created_at: now,
    finished_at: null,
    confirmed_at: null,
    metadata: JSON.stringify(wish.metadata),
    confirm_at: null,
    reopened: 0,
    warn_minutes: warnMinutes.length > 0 ? JSON.stringify(warnMinutes) : null,
    warn_at: warnMinutes.length > 0 ? nextWarningAt(wish.dueAt, warnMinutes, now) : null,
    previous: null,
    last_error: null,
    last_error_at: null,
  }
}
