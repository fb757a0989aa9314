import { compiledOnce, engineOf } from '../engine/compiled.ts'
import type { Db, EndingRow, Trx } from '../schema.ts'
import { confirm, endSeenOver, NEVER_AGAIN, reopen } from './transitions.ts'

/** A session that is seen live this long after a 2xx was not ended by it. */
export const STILL_LIVE_AFTER_MS = 60_000

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

const claimDue = compiledOnce((db, at: { now: number; until: number; limit: number }) =>
  db
    .with('picked', () => {
      const picked = db
        .selectFrom('endings')
        .select('id')
        .where('confirm_at', '<=', at.now)
        .orderBy('confirm_at')
        .limit(at.limit)
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

/** Takes those that wait longest for their confirmation; nobody else does before `until`. All epoch ms. */
export async function claimConfirmations(
  trx: Trx,
  limit: number,
  now: number,
  until: number,
): Promise<Unconfirmed[]> {
  const claimed: Unconfirmed[] = []
  for (const ending of (await claimDue(trx, { limit, now, until })).rows) {
    const { rows: sessions } = await unseenSessions(trx, { ending: ending.id })
    if (sessions.length === 0) await confirm(trx, ending.id, now)
    else claimed.push({ ending, sessions: sessions.map(({ session }) => session) })
  }
  return claimed
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

/**
 * `session` was seen not to be live. What ended it is confirmed, and whatever else was still to end that very session
 * is over; an ending of its room is not, since the next session there may be its business. Returns what changed.
 */
export async function sessionSeenOver(trx: Trx, session: string, now: number) {
  const seen = { session, now }
  await confirmAttempts(trx, seen)
  await sessionIsOver(trx, seen)
  return endSeenOver(trx, seen)
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

/** See `reopen` in transitions.ts; where it is not to be ended again, nobody looks at its session any more. */
export async function reopenOrForget(trx: Trx, seen: EndingRow, now: number): Promise<EndingRow | undefined> {
  const ending = await reopen(trx, seen, now)
  if (ending) return ending
  const { id, target_id } = seen
  await postponeConfirmation(trx, id, null)
  // A rule that is set from now on finds the session as if it were new.
  await trx
    .deleteFrom('session_limits')
    .where('session', '=', target_id)
    .where('ending_id', 'in', (eb) =>
      eb.selectFrom('endings').select('id').where('id', '=', id).where('next_attempt_at', '=', NEVER_AGAIN),
    )
    .execute()
  return undefined
}
