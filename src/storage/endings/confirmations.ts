import { sql } from 'kysely'
import type { Outcome } from '../../ending.ts'
import { compiledOnce, engineOf } from '../engine/compiled.ts'
import type { Db, EndingRow, Trx } from '../schema.ts'
import { CURFEW, noteChanges } from './change-log.ts'
import { isUnclaimed, PENDING } from './pending.ts'

/** How long after its end a session is looked up, where no webhook has told of it until then. */
export const CONFIRM_AFTER_MS = 5_000
/** A session that is seen live this long after a 2xx was not ended by it. */
export const STILL_LIVE_AFTER_MS = 60_000
/** How often an ending becomes pending again because its session was still live. */
const MOST_REOPENED = 3

/** An ending whose sessions are to be looked up, with those that answered 2xx and were not seen since. */
export interface Unconfirmed {
  ending: EndingRow
  sessions: string[]
}

const firstToConfirm = compiledOnce((db, _: Record<string, never>) =>
  db
    .selectFrom('endings')
    .select('confirm_at')
    .where('confirm_at', 'is not', null)
    .orderBy('confirm_at')
    .limit(1),
)

/** When the next ending is to be looked up (epoch ms). */
export async function nextConfirmation(db: Db): Promise<number | undefined> {
  return (await firstToConfirm(db, {})).rows[0]?.confirm_at ?? undefined
}

const claimFirst = compiledOnce((db, at: { now: number; until: number }) =>
  db
    .with('picked', () => {
      const picked = db
        .selectFrom('endings')
        .select('id')
        .where('confirm_at', '<=', at.now)
        .orderBy('confirm_at')
        .limit(1)
      return engineOf(db) === 'postgres' ? picked.forUpdate().skipLocked() : picked
    })
    .updateTable('endings')
    .set({ confirm_at: at.until })
    .where('id', 'in', (eb) => eb.selectFrom('picked').select('picked.id'))
    .returningAll(),
)

const unseenSessions = compiledOnce((db, at: { ending: string }) =>
  db
    .selectFrom('attempts')
    .select('session')
    .distinct()
    .where('ending_id', '=', at.ending)
    .where('result', '=', 'ended')
    .where('confirmed_at', 'is', null),
)

/** Takes the one that waits longest for its confirmation; nobody else does before `until`. All epoch ms. */
export async function claimConfirmation(
  trx: Trx,
  now: number,
  until: number,
): Promise<Unconfirmed | undefined> {
  const [ending] = (await claimFirst(trx, { now, until })).rows
  if (!ending) return undefined
  const { rows: sessions } = await unseenSessions(trx, { ending: ending.id })
  // All were seen between one attempt and the next.
  if (sessions.length === 0)
    await trx
      .updateTable('endings')
      .set({ confirmed_at: now, confirm_at: null })
      .where('id', '=', ending.id)
      .execute()
  return { ending, sessions: sessions.map(({ session }) => session) }
}

interface SeenOver extends Record<string, unknown> {
  session: string
  now: number
}

const confirmAttempts = compiledOnce((db, at: SeenOver) =>
  db
    .updateTable('attempts')
    .set({ confirmed_at: at.now })
    .where('session', '=', at.session)
    .where('result', '=', 'ended')
    .where('confirmed_at', 'is', null),
)

const sessionIsOver = compiledOnce((db, at: SeenOver) =>
  db
    .updateTable('sessions')
    .set({ over_at: at.now })
    .where('id', '=', at.session)
    .where('over_at', 'is', null),
)

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

/**
 * `session` was seen not to be live. What ended it is confirmed, and whatever else was still to end that very session
 * is over; an ending of its room is not, since the next session there may be its business. Returns what changed.
 */
export async function sessionSeenOver(trx: Trx, session: string, now: number): Promise<EndingRow[]> {
  const seen = { session, now }
  await confirmAttempts(trx, seen)
  await sessionIsOver(trx, seen)
  const [confirmed, finished] = [await confirmEnded(trx, seen), await finishPending(trx, seen)]
  return [...confirmed.rows, ...finished.rows]
}

/** Looks again at `at` (epoch ms); never where that is null. */
export async function postponeConfirmation(trx: Trx, id: string, at: number | null): Promise<void> {
  await trx
    .updateTable('endings')
    .set({ confirm_at: at })
    .where('id', '=', id)
    .where('confirm_at', 'is not', null)
    .execute()
}

/** Of an ending that is over: it is not to be tried again, whatever is seen of its session. */
export const NEVER_AGAIN = Number.MAX_SAFE_INTEGER

/**
 * Its session was seen live long after a 2xx: it is to be ended again, now, or at its `next_attempt_at` where something
 * has put that off meanwhile. Without its key, where another has taken that. Undefined where it is confirmed by now, is
 * not asked for any more, or has been reopened often enough; then nobody looks again.
 */
export async function reopen(
  trx: Trx,
  { id, claim, target_id }: EndingRow,
  now: number,
): Promise<EndingRow | undefined> {
  const ending = await trx
    .updateTable('endings')
    .set((eb) => ({
      state: 'pending',
      outcome: null,
      finished_at: null,
      confirm_at: null,
      due_at: eb
        .case()
        .when('next_attempt_at', '>', now)
        .then(eb.ref('next_attempt_at'))
        .else(eb.ref('due_at'))
        .end(),
      next_attempt_at: eb
        .case()
        .when('next_attempt_at', '>', now)
        .then(eb.ref('next_attempt_at'))
        .else(sql<number>`cast(${now} as bigint)`)
        .end(),
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
  if (!ending) {
    await postponeConfirmation(trx, id, null)
    // A rule that is set from now on finds the session as if it were new.
    await trx
      .deleteFrom('session_limits')
      .where('session', '=', target_id)
      .where('ending_id', 'in', (eb) =>
        eb.selectFrom('endings').select('id').where('id', '=', id).where('next_attempt_at', '=', NEVER_AGAIN),
      )
      .execute()
  } else {
    const states = { from: { state: 'ended', outcome: 'ended' }, to: { state: 'pending', outcome: null } }
    await noteChanges(trx, [{ ending, by: CURFEW, change: 'reopened', ...states }], now)
  }
  return ending
}
