import { sql } from 'kysely'
import { type Caller, mayChange } from '../../caller.ts'
import type { State } from '../../ending.ts'
import { oneYearAfter } from '../../time.ts'
import { nextWarningAt } from '../../time-limits/warnings.ts'
import type { AttemptRow, Db, EndingRow, Trx } from '../schema.ts'
import { Closures } from '../time-limits/closures.ts'
import { noteCancelled, noteChanges, noteMoved } from './change-log.ts'
import { cancelling, isUnclaimed, PENDING } from './pending.ts'

/** Why an owner's change was not made. */
export type Obstacle =
  | 'not-found'
  | 'forbidden'
  | 'not-pending'
  | 'not-failed'
  | 'in-progress'
  | 'key-taken'
  | 'too-far'
/** `takenBack` are endings that only its hold has asked for. */
export type Changed = { ending: EndingRow; takenBack?: EndingRow[] } | { obstacle: Obstacle }

/** Where to move an ending: to a time (epoch ms), or so much later (ms) than it is due, or than now where that has passed. */
export type Move = number | { extendMs: number }

/** Moves a pending ending, and a hold that begins with it. */
export function moveEnding(trx: Trx, id: string, caller: Caller, to: Move, now: number) {
  return change(trx, id, caller, 'pending', async (before) => {
    const dueAt = typeof to === 'number' ? to : Math.max(before.due_at, now) + to.extendMs
    if (dueAt > oneYearAfter(now)) return { obstacle: 'too-far' }
    const ending = await unclaimed(trx, id, now)
      .where('claim', '=', before.claim)
      .set(dueAnew(dueAt, before, now))
      .returningAll()
      .executeTakeFirst()
    if (!ending) return undefined
    await noteMoved(trx, ending, before, caller.name, now)
    return { ending, takenBack: await new Closures(trx, now).move(before, dueAt, caller.name) }
  })
}

/** Takes a pending ending back, and opens the room that it would have kept closed. */
export function cancelEnding(trx: Trx, id: string, caller: Caller, now: number) {
  return change(trx, id, caller, 'pending', async () => {
    const ending = await cancelling(trx, now).where('id', '=', id).returningAll().executeTakeFirst()
    if (!ending) return undefined
    await noteCancelled(trx, [ending], caller.name, now)
    const { endings: takenBack } = await new Closures(trx, now).lift({ endingId: ending.id }, caller.name)
    return { ending, takenBack }
  })
}

/** A failed ending becomes pending, to be tried now; what it was due stays, and with it whose meeting it may end. */
export function retryEnding(trx: Trx, id: string, caller: Caller, now: number) {
  return change(trx, id, caller, 'failed', async (before) => {
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
      .executeTakeFirst()
    if (!ending) return undefined
    const from = { state: 'failed', failure: before.failure }
    await noteChanges(
      trx,
      [{ ending, by: caller.name, change: 'retried', from, to: { state: 'pending', failure: null } }],
      now,
    )
    return { ending }
  })
}

export function dueAnew(dueAt: number, { warn_minutes }: Pick<EndingRow, 'warn_minutes'>, now: number) {
  return {
    ...newClaim,
    due_at: dueAt,
    next_attempt_at: Math.max(dueAt, now),
    warn_at: warn_minutes === null ? null : nextWarningAt(dueAt, JSON.parse(warn_minutes), now),
  }
}

// A claim whose lease ran out may still have a slow worker behind it: the raised number makes its report void.
export const newClaim = {
  retry_since: null,
  retry_base: sql<number>`endings.attempt`,
  claim: sql<number>`endings.claim + 1`,
  claimed_until: null,
}

function unclaimed(trx: Trx, id: string, now: number) {
  return trx.updateTable('endings').where('id', '=', id).where('state', '=', PENDING).where(isUnclaimed(now))
}

/** Runs the guarded update, and where it changed nothing, finds out why. */
async function change(
  trx: Trx,
  id: string,
  caller: Caller,
  from: State,
  update: (before: EndingRow) => Promise<Changed | undefined>,
): Promise<Changed> {
  const before = await findEnding(trx, id)
  if (!before) return { obstacle: 'not-found' }
  if (!mayChange(caller, before.requested_by)) return { obstacle: 'forbidden' }
  const changed = await update(before)
  if (changed) return changed
  const state = (await findEnding(trx, id))?.state
  if (from === 'failed') return { obstacle: state === 'failed' ? 'key-taken' : 'not-failed' }
  return { obstacle: state === 'pending' ? 'in-progress' : 'not-pending' }
}

export function findEnding(db: Db | Trx, id: string): Promise<EndingRow | undefined> {
  return db.selectFrom('endings').selectAll().where('id', '=', id.toLowerCase()).executeTakeFirst()
}

export function finishedAmong(db: Db, ids: string[]): Promise<EndingRow[]> {
  return db.selectFrom('endings').selectAll().where('id', 'in', ids).where('state', '!=', PENDING).execute()
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
