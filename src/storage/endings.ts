import { type CompiledQuery, type SelectQueryBuilder, sql } from 'kysely'
import { type Instruction, roomId, type State, targetColumns } from '../ending.ts'
import { newId } from './ids.ts'
import type { AttemptRow, Db, EndingRow, NewEndingRow, Tables, Trx } from './schema.ts'

/** A literal, because SQLite matches a partial index only to a condition that it can read while planning. */
export const PENDING = sql.lit('pending' as const)

/** Why an owner's change was not made. */
export type Obstacle = 'not-found' | 'forbidden' | 'not-pending' | 'not-failed' | 'in-progress' | 'key-taken'
export type Changed = { ending: EndingRow } | { obstacle: Obstacle }

/** Who asks: operators may change everybody's endings. */
export interface Caller {
  name: string
  operator: boolean
}

/**
 * Stores an instruction as a new pending ending; where the same party has a pending one with the same key, that one
 * is replaced under its old id instead. `in-progress` where that one is being carried out at this moment.
 */
export async function putEnding(
  trx: Trx,
  wish: Instruction,
  now: number,
): Promise<{ ending: EndingRow; replaced: boolean } | { obstacle: 'in-progress' }> {
  const row = newRow(wish, now)
  const { rows } = await trx.executeQuery(putQuery(trx, row, now))
  const ending = rows[0]
  return ending ? { ending, replaced: ending.id !== row.id } : { obstacle: 'in-progress' }
}

// Compiling this costs more than running it, and it is what every request does: it is compiled once for each engine,
// with names in the places of the values.
const putQueries = new WeakMap<object, CompiledQuery<EndingRow>>()

function putQuery(trx: Trx, row: NewEndingRow, now: number): CompiledQuery<EndingRow> {
  const adapter = trx.getExecutor().adapter
  const named = putQueries.get(adapter) ?? compilePut(trx, row)
  putQueries.set(adapter, named)
  const values: Record<string, unknown> = { ...row, now }
  return { ...named, parameters: named.parameters.map((name) => values[name as string]) }
}

function compilePut(trx: Trx, row: NewEndingRow): CompiledQuery<EndingRow> {
  const named = Object.fromEntries(Object.keys(row).map((name) => [name, name])) as unknown as NewEndingRow
  return trx
    .insertInto('endings')
    .values(named)
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
          ...dueAnew(eb.ref('excluded.due_at')),
        }))
        .where((eb) =>
          eb.or([
            eb('endings.claimed_until', 'is', null),
            eb('endings.claimed_until', '<=', 'now' as unknown as number),
          ]),
        ),
    )
    .returningAll()
    .compile()
}

/** Moves a pending ending; `dueAt` is epoch ms. */
export function moveEnding(trx: Trx, id: string, caller: Caller, dueAt: number, now: number) {
  return change(trx, id, caller, 'pending', () =>
    unclaimed(trx, id, now).set(dueAnew(dueAt)).returningAll().executeTakeFirst(),
  )
}

/** Takes a pending ending back. */
export function cancelEnding(trx: Trx, id: string, caller: Caller, now: number) {
  return change(trx, id, caller, 'pending', () =>
    unclaimed(trx, id, now)
      .set((eb) => ({
        state: 'cancelled',
        finished_at: now,
        claim: eb('endings.claim', '+', 1),
        claimed_until: null,
      }))
      .returningAll()
      .executeTakeFirst(),
  )
}

/** A failed ending becomes pending, to be tried now; what it was due stays, and with it whose meeting it may end. */
export function retryEnding(trx: Trx, id: string, caller: Caller, now: number) {
  return change(trx, id, caller, 'failed', () =>
    trx
      .updateTable('endings')
      .set((eb) => ({
        state: 'pending',
        failure: null,
        finished_at: null,
        next_attempt_at: now,
        retry_since: null,
        retry_base: eb.ref('attempt'),
        claimed_until: null,
      }))
      .where('id', '=', id)
      .where('state', '=', 'failed')
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('endings as other')
              .select('other.id')
              .where('other.state', '=', PENDING)
              .whereRef('other.requested_by', '=', 'endings.requested_by')
              .whereRef('other.key', '=', 'endings.key'),
          ),
        ),
      )
      .returningAll()
      .executeTakeFirst(),
  )
}

function newRow(wish: Instruction, now: number): NewEndingRow & { id: string } {
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
    next_attempt_at: wish.dueAt,
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
  }
}

// A claim whose lease ran out may still have a slow worker behind it: the raised number makes its report void.
function dueAnew<T>(dueAt: T) {
  return {
    due_at: dueAt,
    next_attempt_at: dueAt,
    retry_since: null,
    retry_base: sql<number>`endings.attempt`,
    claim: sql<number>`endings.claim + 1`,
    claimed_until: null,
  }
}

function unclaimed(trx: Trx, id: string, now: number) {
  return trx
    .updateTable('endings')
    .where('id', '=', id)
    .where('state', '=', PENDING)
    .where((eb) => eb.or([eb('claimed_until', 'is', null), eb('claimed_until', '<=', now)]))
}

/** Runs the guarded update, and where it changed nothing, finds out why. */
async function change(
  trx: Trx,
  id: string,
  caller: Caller,
  from: State,
  update: () => Promise<EndingRow | undefined>,
): Promise<Changed> {
  const before = await findEnding(trx, id)
  if (!before) return { obstacle: 'not-found' }
  if (before.requested_by !== caller.name && !caller.operator) return { obstacle: 'forbidden' }
  const ending = await update()
  if (ending) return { ending }
  const state = (await findEnding(trx, id))?.state
  if (from === 'failed') return { obstacle: state === 'failed' ? 'key-taken' : 'not-failed' }
  return { obstacle: state === 'pending' ? 'in-progress' : 'not-pending' }
}

export function findEnding(db: Db | Trx, id: string): Promise<EndingRow | undefined> {
  return db.selectFrom('endings').selectAll().where('id', '=', id.toLowerCase()).executeTakeFirst()
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

/** Every field narrows. `session` also finds endings of a room that made an end call for that session. */
export interface EndingFilter {
  state?: State
  reason?: string
  session?: string
  room?: string
  key?: string
  subject?: string
  requestedBy?: string
  /** epoch ms, exclusive */
  dueBefore?: number
  dueAfter?: number
  /** the id of the last ending of the page before */
  before?: string
}

/** Newest first: UUIDv7 ids sort by the time they were made. */
export function listEndings(db: Db, filter: EndingFilter, limit: number): Promise<EndingRow[]> {
  let query = db.selectFrom('endings').selectAll().orderBy('id', 'desc').limit(limit)
  if (filter.state) query = query.where('state', '=', sql.lit(filter.state))
  if (filter.reason !== undefined) query = query.where('reason', '=', filter.reason)
  if (filter.key !== undefined) query = query.where('key', '=', filter.key)
  if (filter.subject !== undefined) query = query.where('subject', '=', filter.subject)
  if (filter.requestedBy !== undefined) query = query.where('requested_by', '=', filter.requestedBy)
  if (filter.dueBefore !== undefined) query = query.where('due_at', '<', filter.dueBefore)
  if (filter.dueAfter !== undefined) query = query.where('due_at', '>', filter.dueAfter)
  if (filter.before !== undefined) query = query.where('id', '<', filter.before)
  if (filter.session !== undefined) query = bySession(query, filter.session.toLowerCase())
  if (filter.room !== undefined)
    query = query.where('target_kind', '=', 'room').where('target_id', '=', roomId(filter.room))
  return query.execute()
}

function bySession<O>(query: SelectQueryBuilder<Tables, 'endings', O>, session: string) {
  return query.where((eb) =>
    eb.or([
      eb.and([eb('target_kind', '=', 'session'), eb('target_id', '=', session)]),
      eb('id', 'in', eb.selectFrom('attempts').select('ending_id').where('session', '=', session)),
    ]),
  )
}
