import { type Target, targetColumns } from '../ending.ts'
import { namesOf, type SeenSession } from '../time-limits/rules.ts'
import { newId } from './ids.ts'
import { PENDING } from './pending.ts'
import type { Db, EndingRow, HoldRow, Trx } from './schema.ts'

/** A room to be kept closed. Times are epoch ms; `until` null means until it is lifted. */
export interface Closure {
  room: Target
  from: number
  until: number | null
  requestedBy: string
  reason: string
  subject: string | null
}

/** Holds that are in force at `now`. */
export function activeHolds(db: Db | Trx, now: number): Promise<HoldRow[]> {
  return db
    .selectFrom('holds')
    .selectAll()
    .where('lifted_at', 'is', null)
    .where('from_at', '<=', now)
    .where((eb) => eb.or([eb('until_at', 'is', null), eb('until_at', '>', now)]))
    .orderBy('from_at')
    .orderBy('id')
    .execute()
}

// Digital Samba tells the second in which a session began.
const START_RESOLUTION_MS = 1000

/** The hold that a session has begun under, if any: what began before it is none of its business. */
export function holdOn(holds: HoldRow[], session: Omit<SeenSession, 'id'>): HoldRow | undefined {
  const names = namesOf(session)
  return holds.find(
    (hold) => session.startedAt > hold.from_at - START_RESOLUTION_MS && names.includes(nameOf(hold)),
  )
}

/** As a rule would name its room. */
export function nameOf({ room_kind, room }: Pick<HoldRow, 'room_kind' | 'room'>): string {
  return room_kind === 'external' ? `external:${room}` : room
}

/**
 * Whether a party has booked a room, by a pending ending that is due when the booking is over, for a time that meets
 * the one between `from` and `until` (epoch ms). A booking whose start is not known may have begun by then.
 */
export async function isBooked(
  trx: Trx,
  requestedBy: string,
  room: Target,
  { from, until }: { from: number; until: number | null },
): Promise<boolean> {
  const { target_kind, target_id } = targetColumns(room)
  const bookings = await trx
    .selectFrom('endings')
    .select('metadata')
    .where('state', '=', PENDING)
    .where('requested_by', '=', requestedBy)
    .where('target_kind', '=', target_kind)
    .where('target_id', '=', target_id)
    .where('reason', '=', 'booking_over')
    .where('due_at', '>', from)
    .execute()
  return bookings.some(({ metadata }) => {
    const { startsAt } = JSON.parse(metadata) as { startsAt?: string }
    return startsAt === undefined || until === null || Date.parse(startsAt) < until
  })
}

const BOOKING = 'booking:'

/** Undefined where the room of a cancelled booking is booked again: then it stays open. */
export async function openHold(
  trx: Trx,
  closure: Closure,
  endingId: string | null,
  now: number,
): Promise<HoldRow | undefined> {
  const { requestedBy, room, subject } = closure
  if (subject?.startsWith(BOOKING) && (await isBooked(trx, requestedBy, room, closure))) return undefined
  const { target_kind, target_id } = targetColumns(room)
  return trx
    .insertInto('holds')
    .values({
      id: newId(now),
      room_kind: target_kind as 'room' | 'external',
      room: target_id,
      from_at: closure.from,
      until_at: closure.until,
      requested_by: requestedBy,
      reason: closure.reason,
      subject,
      ending_id: endingId,
      created_at: now,
      lifted_at: null,
      lifted_by: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Which holds are meant: one, those that came with an ending, or those of a party for a subject or a room and time. */
export type HoldChoice =
  | { id: string }
  | { endingId: string }
  | { requestedBy: string; subject: string }
  | { requestedBy: string; room: Target; from: number; until: number; subjectPrefix: string }

/** Opens the rooms again. Returns the holds that were in force or to come. */
export function liftHolds(trx: Trx, choice: HoldChoice, by: string, now: number): Promise<HoldRow[]> {
  let query = trx
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
  return query.returningAll().execute()
}

/**
 * An ending was moved: a hold that begins with its due time begins with the new one. Moved past the hold's own end,
 * there is nothing left to hold: it begins when it ends, and is there again when the ending is moved back.
 */
export async function moveHold(trx: Trx, before: EndingRow, dueAt: number, now: number): Promise<void> {
  await trx
    .updateTable('holds')
    .set((eb) => ({
      from_at: eb
        .case()
        .when('until_at', '<', dueAt)
        .then(eb.ref('until_at').$castTo<number>())
        .else(dueAt)
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
    .execute()
}

/** Whether a party keeps any room closed, or has done so and not opened it. */
export async function hasHolds(db: Db | Trx, requestedBy: string): Promise<boolean> {
  const row = await db
    .selectFrom('holds')
    .select('id')
    .where('requested_by', '=', requestedBy)
    .where('lifted_at', 'is', null)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

export function findHold(db: Db | Trx, id: string): Promise<HoldRow | undefined> {
  return db.selectFrom('holds').selectAll().where('id', '=', id.toLowerCase()).executeTakeFirst()
}

/** The hold that an ending came with, as it is now. */
export function holdOfEnding(db: Db | Trx, endingId: string): Promise<HoldRow | undefined> {
  return db
    .selectFrom('holds')
    .selectAll()
    .where('ending_id', '=', endingId)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
}

/** Holds in force or to come, newest first; `before` is the id of the last of the page before. */
export function listHolds(
  db: Db,
  now: number,
  before: string | undefined,
  limit: number,
): Promise<HoldRow[]> {
  let query = db
    .selectFrom('holds')
    .selectAll()
    .where('lifted_at', 'is', null)
    .where((eb) => eb.or([eb('until_at', 'is', null), eb('until_at', '>', now)]))
    .orderBy('id', 'desc')
    .limit(limit)
  if (before !== undefined) query = query.where('id', '<', before)
  return query.execute()
}
