import { sql } from 'kysely'
import type { Failure, Outcome } from '../../ending.ts'
import { compiledOnce } from '../engine/compiled.ts'
import { enqueue } from '../notifications/outbox.ts'
import type { AttemptRow, EndingRow, Trx } from '../schema.ts'
import { count, countFinished, firstLateness } from '../statistics/counting.ts'
import { addCall, addFinished, addLateness, type Counts } from '../statistics/names.ts'
import { attemptRows, type Call, insertAttempts } from './attempts.ts'
import { type ChangeNote, CURFEW, noteChanges } from './change-log.ts'
import { hasItsKey, isUnclaimed, PENDING } from './conditions.ts'

/*
 * Every change of an ending's state, each with its guard, the row as it is then, and what follows from it in the same
 * transaction. Nothing else writes `state`, but for the insert that makes an ending pending (upserts.ts), and successes, several
 * of which are written down together (successes.ts). Each answers
 * with the endings that it changed; whoever called it has them announced after the commit. What their owners are to be told
 * is written beside it (notifications/outbox.ts), and what has happened is counted (statistics/counting.ts).
 */

/** How long after its end a session is looked up, where no webhook has told of it until then. */
export const CONFIRM_AFTER_MS = 5_000
/** How often an ending becomes pending again because its session was still live. */
const MOST_REOPENED = 3
/** Of an ending that is over: it is not to be tried again, whatever is seen of its session. */
export const NEVER_AGAIN = Number.MAX_SAFE_INTEGER

/** What an attempt makes of its ending. */
export type Transition =
  | { to: 'ended'; outcome: Outcome }
  | { to: 'failed'; failure: Failure; error?: string }
  /** Tried and to be tried again; `retrySince` is what RETRY_FOR is counted from. Both epoch ms. */
  | { to: 'pending'; nextAttemptAt: number; retrySince: number; error?: string }
  /** Given back as if never tried. */
  | { to: 'released'; error?: string }

/** What somebody's change of a state means for those who ask later: who, and from what to what. */
type Change = Pick<ChangeNote, 'change' | 'from' | 'to'>
const CANCELLED: Change = { change: 'cancelled', from: { state: 'pending' }, to: { state: 'cancelled' } }
const REOPENED: Change = {
  change: 'reopened',
  from: { state: 'ended', outcome: 'ended' },
  to: { state: 'pending', outcome: null },
}

/** What follows from a change that somebody made, other than an attempt. */
function noted(trx: Trx, endings: EndingRow[], change: Change, by: string, now: number): Promise<void> {
  return noteChanges(
    trx,
    endings.map((ending) => ({ ending, by, ...change })),
    now,
  )
}

// ---- pending → ended, failed, or pending again: by an attempt

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
  const made = await insertAttempts(trx, attemptRows(claimed, calls, now))
  const ending = await trx
    .updateTable('endings')
    .set({ claimed_until: null, ...(await columnsOf(trx, claimed, transition, now)) })
    .where('id', '=', claimed.id)
    .where('claim', '=', claimed.claim)
    .where('state', '=', PENDING)
    .returningAll()
    .executeTakeFirst()
  await countAttempt(trx, { claimed, calls, now }, made, transition, ending)
  if (ending?.state === 'failed') await enqueue(trx, [ending], 'failed', now)
  if (ending?.state === 'ended') await tellOver(trx, [ending], now)
  return ending
}

/**
 * `made`: the calls that were not written down before. A report that came too late made calls all the same; but neither
 * is an ending finished by it, nor was its call the first of an ending that somebody else has had since.
 */
async function countAttempt(
  trx: Trx,
  { claimed, calls, now }: { claimed: EndingRow; calls: Call[]; now: number },
  made: Array<Pick<AttemptRow, 'status'>>,
  transition: Transition,
  after: EndingRow | undefined,
): Promise<void> {
  const counts: Counts = new Map()
  for (const { status } of made) addCall(counts, status)
  if (after && after.state !== 'pending') addFinished(counts, (after.outcome ?? after.failure) as string)
  // What is given back without a word is still untried, and has its first call later.
  const isTried = transition.to !== 'released' || transition.error !== undefined
  const lateness = after && isTried && made.length > 0 ? firstLateness(claimed, calls) : undefined
  if (lateness !== undefined) addLateness(counts, lateness)
  await count(trx, counts, now)
}

/** That an ending is over, and where its session was seen then, that it is confirmed. */
async function tellOver(trx: Trx, endings: EndingRow[], now: number): Promise<void> {
  await enqueue(trx, endings, 'ended', now)
  const seen = endings.filter(({ confirmed_at }) => confirmed_at !== null)
  await enqueue(trx, seen, 'confirmed', now)
}

async function columnsOf(trx: Trx, claimed: EndingRow, transition: Transition, now: number) {
  const error = 'error' in transition ? transition.error : undefined
  const trouble = error === undefined ? {} : { last_error: error, last_error_at: now }
  const attempt = claimed.attempt + 1
  switch (transition.to) {
    case 'ended': {
      const over = await overBy(trx, claimed, transition.outcome, now)
      return { attempt, state: 'ended' as const, finished_at: now, ...over }
    }
    case 'failed':
      return { attempt, ...trouble, state: 'failed' as const, failure: transition.failure, finished_at: now }
    case 'pending': {
      const { nextAttemptAt, retrySince } = transition
      return { attempt, ...trouble, next_attempt_at: nextAttemptAt, retry_since: retrySince }
    }
    case 'released':
      return trouble
  }
}

// A room whose last session was gone at the second attempt was still ended by us if the first attempt ended one.
async function overBy(trx: Trx, { id }: EndingRow, outcome: Outcome, now: number) {
  const ours = await trx
    .selectFrom('attempts')
    .select('id')
    .where('ending_id', '=', id)
    .where('result', '=', 'ended')
    .executeTakeFirst()
  if (ours) return { outcome: 'ended' as const, confirm_at: now + CONFIRM_AFTER_MS }
  return { outcome, confirmed_at: outcome === 'already_ended' ? now : null }
}

// ---- pending → ended, and ended → confirmed: a session was seen not to be live

interface SeenOver extends Record<string, unknown> {
  session: string
  /** epoch ms */
  now: number
}

/** What ended the session is confirmed, and whatever else was still to end that very session is over. */
export async function endSeenOver(trx: Trx, seen: SeenOver) {
  const { rows: confirmed } = await confirmEnded(trx, seen)
  const { rows: finished } = await finishPending(trx, seen)
  await countFinished(trx, finished, seen.now)
  await enqueue(trx, confirmed, 'confirmed', seen.now)
  await tellOver(trx, finished, seen.now)
  return { confirmed, finished }
}

const confirmEnded = compiledOnce((db, at: SeenOver) =>
  db
    .updateTable('endings')
    .set({ confirmed_at: at.now, confirm_at: null })
    .where('outcome', '=', 'ended')
    .where('confirmed_at', 'is', null)
    .where('id', 'in', (eb) =>
      eb.selectFrom('attempts').select('ending_id').where('session', '=', at.session),
    )
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('attempts as open')
            .select('open.id')
            .whereRef('open.ending_id', '=', 'endings.id')
            .where('open.result', '=', 'ended')
            .where('open.confirmed_at', 'is', null),
        ),
      ),
    )
    .returningAll(),
)

const finishPending = compiledOnce((db, at: SeenOver) =>
  db
    .updateTable('endings')
    .set((eb) => ({
      state: 'ended',
      outcome: sql<Outcome>`case when exists (select 1 from attempts where ending_id = endings.id and result = 'ended')
        then 'ended' else 'already_ended' end`,
      finished_at: at.now,
      confirmed_at: at.now,
      claim: eb('claim', '+', 1),
      claimed_until: null,
    }))
    .where('state', '=', PENDING)
    .where('target_kind', '=', 'session')
    .where('target_id', '=', at.session)
    .where(isUnclaimed(at.now))
    .returningAll(),
)

/** All sessions of this ending were seen between one attempt and the next. */
export async function confirm(trx: Trx, id: string, now: number): Promise<void> {
  const confirmed = await trx
    .updateTable('endings')
    .set({ confirmed_at: now, confirm_at: null })
    .where('id', '=', id)
    .where('confirm_at', 'is not', null)
    .returningAll()
    .execute()
  await enqueue(trx, confirmed, 'confirmed', now)
}

// ---- pending → cancelled

export type Cancelling = ReturnType<typeof cancelling>

/** Takes pending endings back that nobody is carrying out: which of them, `narrow` says. In the order of their ids. */
export async function cancel(
  trx: Trx,
  narrow: (pending: Cancelling) => Cancelling,
  by: string,
  now: number,
): Promise<EndingRow[]> {
  const rows = await narrow(cancelling(trx, now)).returningAll().execute()
  const sorted = rows.sort((a, b) => (a.id < b.id ? -1 : 1))
  await noted(trx, sorted, CANCELLED, by, now)
  await countFinished(trx, sorted, now)
  // Whoever took its own back knows.
  const others = sorted.filter(({ requested_by }) => requested_by !== by)
  await enqueue(trx, others, 'cancelled', now)
  return sorted
}

/** The same of those among these ids. */
export function cancelAmong(trx: Trx, ids: string[], by: string, now: number): Promise<EndingRow[]> {
  if (ids.length === 0) return Promise.resolve([])
  return cancel(trx, (pending) => pending.where('id', 'in', ids), by, now)
}

function cancelling(trx: Trx, now: number) {
  return trx
    .updateTable('endings')
    .set((eb) => ({
      state: 'cancelled',
      finished_at: now,
      claim: eb('endings.claim', '+', 1),
      claimed_until: null,
    }))
    .where('state', '=', PENDING)
    .where(isUnclaimed(now))
}

// ---- failed → pending

/** To be tried now; undefined where it is not failed any more, or another pending one has its key. */
export async function retry(
  trx: Trx,
  before: EndingRow,
  by: string,
  now: number,
  traceparent = before.traceparent,
): Promise<EndingRow | undefined> {
  const ending = await trx
    .updateTable('endings')
    .set((eb) => ({
      state: 'pending',
      failure: null,
      finished_at: null,
      next_attempt_at: now,
      retry_since: null,
      retry_base: eb.ref('attempt'),
      claimed_until: null,
      traceparent,
    }))
    .where('id', '=', before.id)
    .where('state', '=', 'failed')
    .where(hasItsKey)
    .returningAll()
    .executeTakeFirst()
  if (!ending) return undefined
  const from = { state: 'failed', failure: before.failure }
  await noted(trx, [ending], { change: 'retried', from, to: { state: 'pending', failure: null } }, by, now)
  return ending
}

// ---- ended → pending

/**
 * Its session was seen live long after a 2xx: it is to be ended again, now, or at its `next_attempt_at` where something
 * has put that off meanwhile. Without its key, where another has taken that. Undefined where it is confirmed by now, is
 * not asked for any more, or has been reopened often enough.
 */
export async function reopen(
  trx: Trx,
  { id, claim }: EndingRow,
  now: number,
): Promise<EndingRow | undefined> {
  const ending = await trx
    .updateTable('endings')
    .set((eb) => ({
      state: 'pending',
      outcome: null,
      finished_at: null,
      confirm_at: null,
      due_at: sql<number>`case when next_attempt_at > ${now} then next_attempt_at else due_at end`,
      next_attempt_at: sql<number>`case when next_attempt_at > ${now} then next_attempt_at
        else cast(${now} as bigint) end`,
      retry_since: null,
      retry_base: eb.ref('attempt'),
      reopened: eb('reopened', '+', 1),
      key: sql<string | null>`case when exists (select 1 from endings as other where other.state = 'pending'
        and other.requested_by = endings.requested_by and other.key = endings.key) then null else endings.key end`,
    }))
    .where('id', '=', id)
    .where('claim', '=', claim)
    .where('outcome', '=', 'ended')
    .where('confirm_at', 'is not', null)
    .where('reopened', '<', MOST_REOPENED)
    .where('next_attempt_at', '<', NEVER_AGAIN)
    .returningAll()
    .executeTakeFirst()
  if (!ending) return undefined
  await noted(trx, [ending], REOPENED, CURFEW, now)
  await enqueue(trx, [ending], 'reopened', now)
  return ending
}
