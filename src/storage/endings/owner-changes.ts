import { type Caller, mayChange } from '../../caller.ts'
import type { State } from '../../ending.ts'
import { oneYearAfter } from '../../time.ts'
import type { EndingRow, Trx } from '../schema.ts'
import { Closures } from '../time-limits/closures.ts'
import { dueAnew } from './asked-anew.ts'
import { noteMoved } from './change-log.ts'
import { isUnclaimed, PENDING } from './conditions.ts'
import { findEnding } from './endings.ts'
import { type Cancelling, cancel, retry } from './transitions.ts'

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
      .set({ ...dueAnew(dueAt, before, now), ...inTrace(caller) })
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
    const own = (pending: Cancelling) => pending.where('id', '=', id).set(inTrace(caller))
    const [ending] = await cancel(trx, own, caller.name, now)
    if (!ending) return undefined
    const { endings: takenBack } = await new Closures(trx, now).lift({ endingId: ending.id }, caller.name)
    return { ending, takenBack }
  })
}

/** A failed ending becomes pending, to be tried now; what it was due stays, and with it whose meeting it may end. */
export function retryEnding(trx: Trx, id: string, caller: Caller, now: number) {
  return change(trx, id, caller, 'failed', async (before) => {
    const ending = await retry(trx, before, caller.name, now, caller.traceparent)
    return ending && { ending }
  })
}

/** What follows from a change belongs to the trace of whoever made it. */
function inTrace({ traceparent }: Caller): { traceparent?: string } {
  return traceparent === undefined ? {} : { traceparent }
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
