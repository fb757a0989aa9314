import { CURFEW } from '../endings/change-log.ts'
import type { HoldRow, SessionRow, Trx } from '../schema.ts'
import { heldFor, release } from './closures.ts'
import { holdsOn } from './holds.ts'
import { type Observed, upsertAll } from './session-limits.ts'
import { namesIn } from './session-names.ts'

/**
 * Sessions that began in a room that is held closed get an ending of each party that holds it. Once: whoever cancels
 * its own is heard.
 */
export async function endSessionsInHeldRooms(
  trx: Trx,
  sessions: SessionRow[],
  holds: HoldRow[],
  now: number,
): Promise<Observed[]> {
  const live = sessions.filter(({ over_at }) => over_at === null)
  const released = await releaseLifted(trx, live, now)
  const known = await knownOf(trx, live)
  const closing = live.flatMap((session) =>
    holdsOn(holds, { ...namesIn(session), startedAt: session.started_at })
      .filter(({ requested_by }) => !known.has(`${session.id} ${requested_by}`))
      .map((hold) => ({ session, hold })),
  )
  if (closing.length === 0) return released
  const instructions = closing.map(({ session, hold }) => ({
    target: { session: session.id },
    dueAt: now,
    reason: 'room_held',
    requestedBy: hold.requested_by,
    key: `held:${session.id}`,
    subject: hold.subject,
    urgent: false,
    metadata: JSON.parse(heldFor(hold)),
  }))
  const endings = await upsertAll(trx, instructions, now)
  const rows = endings.map(({ id }, i) => {
    const { session, hold } = closing[i] as (typeof closing)[number]
    return { session: session.id, requested_by: hold.requested_by, hold_id: hold.id, ending_id: id }
  })
  await trx.insertInto('session_holds').values(rows).execute()
  return [...released, ...endings.map((ending) => ({ ending, how: 'accepted' as const }))]
}

/** An ending that was being carried out when its hold was lifted, and came to nothing. */
async function releaseLifted(trx: Trx, sessions: SessionRow[], now: number): Promise<Observed[]> {
  if (sessions.length === 0) return []
  const lifted = await trx
    .selectFrom('holds')
    .innerJoin('session_holds', 'session_holds.hold_id', 'holds.id')
    .selectAll('holds')
    .where('session_holds.session', 'in', idsOf(sessions))
    .where('holds.lifted_at', 'is not', null)
    .execute()
  return (await release(trx, lifted, CURFEW, now)).map((ending) => ({ ending, how: 'cancelled' }))
}

async function knownOf(trx: Trx, sessions: SessionRow[]): Promise<Set<string>> {
  if (sessions.length === 0) return new Set()
  const rows = await trx
    .selectFrom('session_holds')
    .select(['session', 'requested_by'])
    .where('session', 'in', idsOf(sessions))
    .execute()
  return new Set(rows.map(({ session, requested_by }) => `${session} ${requested_by}`))
}

const idsOf = (sessions: SessionRow[]) => sessions.map(({ id }) => id)
