import { type SelectQueryBuilder, sql } from 'kysely'
import type { Failure, Outcome } from '../../ending.ts'
import type { AttemptRow, Db, EndingRow, Engine, Tables, Trx } from '../schema.ts'
import { CONFIRM_AFTER_MS } from './confirmations.ts'
import { PENDING } from './pending.ts'

/** What an attempt makes of its ending. */
export type Transition =
  | { to: 'ended'; outcome: Outcome }
  | { to: 'failed'; failure: Failure; error?: string }
  /** Tried and to be tried again; `retrySince` is what RETRY_FOR is counted from. Both epoch ms. */
  | { to: 'pending'; nextAttemptAt: number; retrySince: number; error?: string }
  /** Given back as if never tried. */
  | { to: 'released'; error?: string }

/** One end call as the worker saw it; its id makes it one row however often it is written down. */
export type Call = Omit<AttemptRow, 'ending_id' | 'attempt' | 'confirmed_at'>

/** Which endings a claim prefers. */
export interface ClaimOptions {
  /** only urgent ones */
  urgentOnly?: boolean
  /** those that wait for another attempt come last, and of them whichever has waited longest comes first */
  retriesLast?: boolean
}

/**
 * Claims up to `limit` endings that are due and to be looked at by `now`, until `until` (all epoch ms): urgent ones
 * first, then by due time. Two claimers never get the same one.
 */
export async function claimEndings(
  trx: Trx,
  engine: Engine,
  limit: number,
  now: number,
  until: number,
  { urgentOnly = false, retriesLast = false }: ClaimOptions = {},
): Promise<EndingRow[]> {
  const claimed: EndingRow[] = []
  for (const urgent of urgentOnly ? ([1] as const) : ([1, 0] as const))
    for (const order of retriesLast ? (['first attempts', 'retries'] as const) : (['all'] as const)) {
      if (claimed.length === limit) return claimed
      const some = ordered(due(trx.selectFrom('endings').select('id'), urgent, now), order)
      claimed.push(...(await claimSome(trx, engine, some.limit(limit - claimed.length), until)))
    }
  return claimed
}

// Urgent and other endings apart, so that each is one range of the index, read in order and only as far as needed.
async function claimSome(trx: Trx, engine: Engine, picked: DueQuery<{ id: string }>, until: number) {
  const rows = await trx
    .with('picked', () => (engine === 'postgres' ? picked.forUpdate().skipLocked() : picked))
    .updateTable('endings')
    .set((eb) => ({ claim: eb('endings.claim', '+', 1), claimed_until: until }))
    .where('id', 'in', (eb) => eb.selectFrom('picked').select('picked.id'))
    .returningAll()
    .execute()
  return rows.sort((a, b) => a.due_at - b.due_at || (a.id < b.id ? -1 : 1))
}

type DueQuery<O> = SelectQueryBuilder<Tables, 'endings', O>

function ordered<O>(query: DueQuery<O>, which: 'all' | 'first attempts' | 'retries'): DueQuery<O> {
  if (which === 'retries') return query.where('retry_since', 'is not', null).orderBy('next_attempt_at')
  return (which === 'all' ? query : query.where('retry_since', 'is', null)).orderBy('due_at').orderBy('id')
}

function due<O>(query: DueQuery<O>, urgent: 0 | 1, now: number): DueQuery<O> {
  return query
    .where('state', '=', PENDING)
    .where('urgent', '=', urgent)
    .where('due_at', '<=', now)
    .where('next_attempt_at', '<=', now)
    .where((eb) => eb.or([eb('claimed_until', 'is', null), eb('claimed_until', '<=', now)]))
}

/** The one that a claim would take first, without taking it: how the worker knows what it is asking budget for. */
export async function firstDue(db: Db, now: number): Promise<EndingRow | undefined> {
  for (const urgent of [1, 0] as const) {
    const all = due(db.selectFrom('endings').selectAll(), urgent, now)
    const row = await ordered(all, 'all').limit(1).executeTakeFirst()
    if (row) return row
  }
  return undefined
}

/** When the next pending, unclaimed ending is to be looked at (epoch ms). */
export async function nextAttemptAt(db: Db): Promise<number | undefined> {
  const row = await db
    .selectFrom('endings')
    .select('next_attempt_at')
    .where('state', '=', PENDING)
    .where('claimed_until', 'is', null)
    .orderBy('next_attempt_at')
    .limit(1)
    .executeTakeFirst()
  return row?.next_attempt_at
}

/**
 * Writes down what an attempt came to: its end calls always, the transition only where the ledger still allows it.
 * Returns the ending as it then is where the transition was made, undefined where the report came too late.
 */
export async function recordAttempt(
  trx: Trx,
  claimed: EndingRow,
  calls: Call[],
  transition: Transition,
  now: number,
): Promise<EndingRow | undefined> {
  if (calls.length > 0)
    await trx
      .insertInto('attempts')
      .values(attemptRows(claimed, calls, now))
      .onConflict((conflict) => conflict.column('id').doNothing())
      .execute()
  if (transition.to === 'ended' && transition.outcome === 'ended') return recordSuccess(trx, claimed, now)
  return trx
    .updateTable('endings')
    .set(await changes(trx, claimed, transition, now))
    .where('id', '=', claimed.id)
    .where('claim', '=', claimed.claim)
    .where('state', '=', PENDING)
    .returningAll()
    .executeTakeFirst()
}

// A 2xx is true whoever holds the claim by now, and truer than somebody's "it was over already"; but only of what was
// done: its owner may have put something else in its place since the lease ran out.
function recordSuccess(trx: Trx, claimed: EndingRow, now: number) {
  // A parameter, so that this is one statement and not a new one every millisecond; PostgreSQL has to be told its type.
  const confirmAt = now + CONFIRM_AFTER_MS
  return trx
    .updateTable('endings')
    .set((eb) => ({
      state: 'ended',
      outcome: 'ended',
      finished_at: now,
      claimed_until: null,
      attempt: eb('attempt', '+', 1),
      confirm_at: sql<number | null>`case when confirmed_at is null then cast(${confirmAt} as bigint) end`,
    }))
    .where('id', '=', claimed.id)
    .where((eb) => eb.or([eb('state', '=', PENDING), eb('outcome', '=', 'already_ended')]))
    .where('target_kind', '=', claimed.target_kind)
    .where('target_id', '=', claimed.target_id)
    .$if(claimed.target_kind !== 'session', (query) => query.where('due_at', '=', claimed.due_at))
    .returningAll()
    .executeTakeFirst()
}

async function changes(trx: Trx, claimed: EndingRow, transition: Transition, now: number) {
  const counted = { claimed_until: null, attempt: claimed.attempt + 1 }
  const trouble =
    'error' in transition && transition.error !== undefined
      ? { last_error: transition.error, last_error_at: now }
      : {}
  switch (transition.to) {
    case 'ended':
      return {
        ...counted,
        state: 'ended' as const,
        finished_at: now,
        ...(await ended(trx, claimed, transition.outcome, now)),
      }
    case 'failed':
      return {
        ...counted,
        ...trouble,
        state: 'failed' as const,
        failure: transition.failure,
        finished_at: now,
      }
    case 'pending':
      return {
        ...counted,
        ...trouble,
        next_attempt_at: transition.nextAttemptAt,
        retry_since: transition.retrySince,
      }
    case 'released':
      return { ...trouble, claimed_until: null }
  }
}

// A room whose last session was gone at the second attempt was still ended by us if the first attempt ended one.
async function ended(trx: Trx, { id }: EndingRow, outcome: Outcome, now: number) {
  const ours = await trx
    .selectFrom('attempts')
    .select('id')
    .where('ending_id', '=', id)
    .where('result', '=', 'ended')
    .executeTakeFirst()
  if (ours) return { outcome: 'ended' as const, confirm_at: now + CONFIRM_AFTER_MS }
  return { outcome, confirmed_at: outcome === 'already_ended' ? now : null }
}

// "It was over already" is what a look-up said, so that session was seen.
function attemptRows(claimed: EndingRow, calls: Call[], now: number): AttemptRow[] {
  return calls.map((call) => ({
    ...call,
    ending_id: claimed.id,
    attempt: claimed.attempt + 1,
    confirmed_at: call.result === 'already_ended' ? now : null,
  }))
}

/** For the only process on a database, when it starts: whoever held these claims is dead. Returns how many. */
export async function clearClaims(trx: Trx): Promise<number> {
  const { numUpdatedRows } = await trx
    .updateTable('endings')
    .set({ claimed_until: null })
    .where('state', '=', PENDING)
    .where('claimed_until', 'is not', null)
    .executeTakeFirst()
  return Number(numUpdatedRows)
}
