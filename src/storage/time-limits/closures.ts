import { roomId, type Target, targetColumns } from '../../ending.ts'
import { type HeldRoom, heldFor, successor } from '../../time-limits/holds.ts'
import { isUuid } from '../../time-limits/rules.ts'
import { inPieces } from '../../turns.ts'
import { isUnclaimed, PENDING } from '../endings/conditions.ts'
import { cancelAmong } from '../endings/transitions.ts'
import { newId } from '../engine/ids.ts'
import type { EndingRow, HoldRow, Trx } from '../schema.ts'
import { HoldsLeft } from './bounds.ts'
import { holdsInForce } from './holds.ts'
import { namesIn, seenIn } from './session-names.ts'

/** A room to be kept closed. Times are epoch ms; `until` null means until it is lifted. */
export interface Closure {
  room: Target
  from: number
  until: number | null
  requestedBy: string
  reason: string
  subject: string | null
}

/** Which holds are meant: one, those that came with an ending, or those of a party for a subject or a room and time. */
export type HoldChoice =
  | { id: string }
  | { endingId: string }
  | { requestedBy: string; subject: string }
  | { requestedBy: string; room: Target; from: number; until: number; subjectPrefix: string }

/** The holds that were in force or to come, and the endings that nobody asks for any more without them. */
export interface Lifted {
  holds: HoldRow[]
  endings: EndingRow[]
}

const BOOKING = 'booking:'
const LIFTED_AT_ONCE = 500

/** Closes rooms and opens them again, within one transaction. */
export class Closures {
  readonly #trx: Trx
  readonly #now: number
  readonly #left: HoldsLeft
  readonly #isBooked: (closure: Closure) => Promise<boolean>

  /** `isBooked`: whether the room of a cancelled booking is booked again. Only events book. */
  constructor(trx: Trx, now: number, isBooked: (closure: Closure) => Promise<boolean> = async () => false) {
    this.#trx = trx
    this.#now = now
    this.#left = new HoldsLeft(trx, now)
    this.#isBooked = isBooked
  }

  /**
   * Closes rooms, except those of cancelled bookings that are booked again.
   * @throws TooManyError where its party keeps as many rooms closed as it may
   */
  async close(closures: Array<Closure & { endingId: string | null }>): Promise<void> {
    const rows: HoldRow[] = []
    for (const { endingId, ...closure } of closures) {
      const { requestedBy, subject } = closure
      if (subject?.startsWith(BOOKING) && (await this.#isBooked(closure))) continue
      await this.#left.take(requestedBy)
      rows.push(this.#row(closure, endingId))
    }
    for await (const some of inPieces(rows)) await this.#trx.insertInto('holds').values(some).execute()
  }

  #row({ requestedBy, room, from, until, reason, subject }: Closure, endingId: string | null): HoldRow {
    const { target_kind, target_id } = targetColumns(room)
    return {
      id: newId(this.#now),
      room_kind: target_kind as 'room' | 'external',
      room: target_id,
      by_id: target_kind === 'room' && isUuid(roomId(target_id)) ? 1 : 0,
      from_at: from,
      until_at: until,
      requested_by: requestedBy,
      reason,
      subject,
      ending_id: endingId,
      created_at: this.#now,
      lifted_at: null,
      lifted_by: null,
    }
  }

  /** Opens the rooms again. */
  async lift(choice: HoldChoice, by: string): Promise<Lifted> {
    const now = this.#now
    let query = this.#trx
      .updateTable('holds')
      .set({ lifted_at: now, lifted_by: by })
      .where('lifted_at', 'is', null)
      .where((eb) => eb.or([eb('until_at', 'is', null), eb('until_at', '>', now)]))
    if ('id' in choice) query = query.where('id', '=', choice.id)
    else if ('endingId' in choice) query = query.where('ending_id', '=', choice.endingId)
    else if ('subject' in choice)
      query = query.where('requested_by', '=', choice.requestedBy).where('subject', '=', choice.subject)
    else {
      const { target_kind, target_id } = targetColumns(choice.room)
      query = query
        .where('requested_by', '=', choice.requestedBy)
        .where('room_kind', '=', target_kind as 'room' | 'external')
        .where('room', '=', target_id)
        .where('subject', 'like', `${choice.subjectPrefix}%`)
        .where('from_at', '<', choice.until)
        .where((eb) => eb.or([eb('until_at', 'is', null), eb('until_at', '>', choice.from)]))
    }
    const holds = await query.returningAll().execute()
    for (const { requested_by } of holds) this.#left.giveBack(requested_by)
    return { holds, endings: await release(this.#trx, holds, by, now) }
  }

  /**
   * An ending was moved: a hold that begins with its due time begins with the new one. Moved past the hold's own end,
   * there is nothing left to hold: it begins when it ends, and is there again when the ending is moved back.
   */
  async move(before: EndingRow, dueAt: number, by: string): Promise<EndingRow[]> {
    const now = this.#now
    const moved = await this.#trx
      .updateTable('holds')
      .set((eb) => ({
        from_at: eb
          .case()
          .when('until_at', '<', dueAt)
          .then(eb.ref('until_at').$castTo<number>())
          .else(eb.val(dueAt))
          .end(),
      }))
      .where('ending_id', '=', before.id)
      .where('lifted_at', 'is', null)
      .where((eb) => eb.or([eb('until_at', 'is', null), eb('until_at', '>', now)]))
      .where((eb) =>
        eb.or([
          eb('from_at', '=', before.due_at),
          eb.and([eb('from_at', '=', eb.ref('until_at')), eb('until_at', '<', before.due_at)]),
        ]),
      )
      .returningAll()
      .execute()
    return release(this.#trx, moved, by, now)
  }
}

/**
 * These holds are not what they were. Each ending that one of them stood for and that still waits is taken back, or has
 * another hold of the same party stand for it, where the session has begun under one. Returns those that are taken back.
 */
export async function release(trx: Trx, holds: HoldRow[], by: string, now: number): Promise<EndingRow[]> {
  const freed: EndingRow[] = []
  for (let from = 0; from < holds.length; from += LIFTED_AT_ONCE) {
    const ids = holds.slice(from, from + LIFTED_AT_ONCE).map(({ id }) => id)
    const rows = await endingsOf(trx, ids, now)
    if (rows.length === 0) continue
    const others = await holdsInForce(trx, rows.map(namesIn), now)
    const orphans: string[] = []
    for (const row of rows) {
      const other = successor(others, seenIn(row), row.requested_by)
      if (!other) orphans.push(row.ending_id)
      else if (other.id !== row.hold_id) await standFor(trx, row, other)
    }
    const endings = await cancelAmong(trx, orphans, by, now)
    freed.push(...endings)
    const gone = endings.map(({ id }) => id)
    if (gone.length > 0) await trx.deleteFrom('session_holds').where('ending_id', 'in', gone).execute()
  }
  return freed
}

function endingsOf(trx: Trx, holds: string[], now: number) {
  return trx
    .selectFrom('session_holds')
    .innerJoin('sessions', 'sessions.id', 'session_holds.session')
    .innerJoin('endings', 'endings.id', 'session_holds.ending_id')
    .selectAll('sessions')
    .select(['session_holds.requested_by', 'session_holds.hold_id', 'session_holds.ending_id'])
    .where('session_holds.hold_id', 'in', holds)
    .where('endings.state', '=', PENDING)
    .where(isUnclaimed(now))
    .execute()
}

async function standFor(trx: Trx, { id, ending_id }: { id: string; ending_id: string }, hold: HeldRoom) {
  await trx
    .updateTable('session_holds')
    .set({ hold_id: hold.id })
    .where('session', '=', id)
    .where('requested_by', '=', hold.requestedBy)
    .execute()
  await trx
    .updateTable('endings')
    .set({ subject: hold.subject, metadata: JSON.stringify(heldFor(hold)) })
    .where('id', '=', ending_id)
    .execute()
}
