import { type SelectQueryBuilder, sql } from 'kysely'
import type { Failure, Outcome } from '../../ending.ts'
import { compiledOnce, engineOf } from '../engine/compiled.ts'
import type { AttemptRow, Db, EndingRow, Tables, Trx } from '../schema.ts'
import { CONFIRM_AFTER_MS } from './confirmations.ts'
import { isUnclaimed, PENDING } from './pending.ts'

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
  limit: number,
  now: number,
  until: number,
  { urgentOnly = false, retriesLast = false }: ClaimOptions = {},
): Promise<EndingRow[]> {
  const claim = retriesLast ? claimRetriesLast : claimInOrder
  const { rows } = await claim(trx, { limit: urgentOnly ? 0 : limit, urgent: limit, now, until })
  return rows.sort(byTurn)
}

function byTurn(a: EndingRow, b: EndingRow): number {
  return b.urgent - a.urgent || a.due_at - b.due_at || (a.id < b.id ? -1 : 1)
}

/** `urgent` is how many urgent ones may be claimed, `limit` how many in all; only urgent ones where that is 0. */
interface ClaimParameters extends Record<string, unknown> {
  urgent: number
  limit: number
  now: number
  until: number
}

// Urgent and other endings apart, and retries apart where they come last, so that each is one range of an index, read
// in order and only as far as needed.
const claimInOrder = compiledOnce((db, at: ClaimParameters) => claimFrom(db, at, ['all']))
const claimRetriesLast = compiledOnce((db, at: ClaimParameters) =>
  claimFrom(db, at, ['first attempts', 'retries']),
)

type Which = 'all' | 'first attempts' | 'retries'

function claimFrom(db: Db | Trx, at: ClaimParameters, orders: Which[]) {
  const ranges = ([1, 0] as const).flatMap((urgent) => orders.map((order) => ({ urgent, order })))
  const isPostgres = engineOf(db) === 'postgres'
  const picks = ranges.map(({ urgent, order }, i) => {
    const query = ordered(due(db.selectFrom('endings').select('id'), urgent, at.now), order)
    const some = query.limit(urgent === 1 ? at.urgent : at.limit)
    return sql`${sql.ref(`range_${i}`)} as ${isPostgres ? some.forUpdate().skipLocked() : some}`
  })
  // Each range may have as many as all may have: those of the first ones are taken.
  const picked = ranges.map((_, i) => sql`select id from ${sql.ref(`range_${i}`)}`)
  return sql<EndingRow>`with ${sql.join(picks)} update endings
    set claim = endings.claim + 1, claimed_until = cast(${at.until} as bigint)
    where id in (select id from (${sql.join(picked, sql` union all `)}) as picked limit ${at.urgent})
    returning *`
}

type DueQuery<O> = SelectQueryBuilder<Tables, 'endings', O>

function ordered<O>(query: DueQuery<O>, which: Which): DueQuery<O> {
  if (which === 'retries') return query.where('retry_since', 'is not', null).orderBy('next_attempt_at')
  return (which === 'all' ? query : query.where('retry_since', 'is', null)).orderBy('due_at').orderBy('id')
}

function due<O>(query: DueQuery<O>, urgent: 0 | 1, now: number): DueQuery<O> {
  return query
    .where('state', '=', PENDING)
    .where('urgent', '=', sql.lit(urgent))
    .where('due_at', '<=', now)
    .where('next_attempt_at', '<=', now)
    .where(isUnclaimed(now))
}

const firstDueOf = ([1, 0] as const).map((urgent) =>
  compiledOnce((db, { now }: { now: number }) =>
    ordered(due(db.selectFrom('endings').selectAll(), urgent, now), 'all').limit(1),
  ),
)

/** The one that a claim would take first, without taking it: how the worker knows what it is asking budget for. */
export async function firstDue(db: Db, now: number): Promise<EndingRow | undefined> {
  for (const first of firstDueOf) {
    const { rows } = await first(db, { now })
    if (rows[0]) return rows[0]
  }
  return undefined
}

const nextUnclaimed = compiledOnce((db: Db | Trx, _: Record<string, never>) =>
  db
    .selectFrom('endings')
    .select('next_attempt_at')
    .where('state', '=', PENDING)
    .where('claimed_until', 'is', null)
    .orderBy('next_attempt_at')
    .limit(1),
)

/** When the next pending, unclaimed ending is to be looked at (epoch ms). */
export async function nextAttemptAt(db: Db): Promise<number | undefined> {
  return (await nextUnclaimed(db, {})).rows[0]?.next_attempt_at
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
  return trx
    .updateTable('endings')
    .set(await changes(trx, claimed, transition, now))
    .where('id', '=', claimed.id)
    .where('claim', '=', claimed.claim)
    .where('state', '=', PENDING)
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
export function attemptRows(claimed: EndingRow, calls: Call[], now: number): AttemptRow[] {
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
