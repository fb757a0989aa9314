import { type HeldRoom, type HeldSession, sessionsToEnd } from '../../time-limits/holds.ts'
import { CURFEW } from '../endings/change-log.ts'
import type { EndingRow, SessionRow, Trx } from '../schema.ts'
import { release } from './closures.ts'
import { type Observed, upsertAll } from './session-limits.ts'
import { seenIn } from './session-names.ts'

/** Sessions that began in a room that is held closed get the endings that `sessionsToEnd` says. */
export async function endSessionsInHeldRooms(
  trx: Trx,
  sessions: SessionRow[],
  holds: HeldRoom[],
  now: number,
): Promise<Observed[]> {
  const live = sessions.filter(({ over_at }) => over_at === null)
  const released = await releaseLifted(trx, live, now)
  const known = await knownOf(trx, live)
  const isKnown = (session: string, party: string) => known.has(nameOf(session, party))
  const ending = sessionsToEnd(live.map(seenIn), holds, isKnown, now)
  return [...released, ...(await endAll(trx, ending, now))]
}

async function endAll(trx: Trx, held: HeldSession[], now: number): Promise<Observed[]> {
  if (held.length === 0) return []
  const instructions = held.map(({ instruction }) => instruction)
  const endings = await upsertAll(trx, instructions, now)
  const rows = held.map(({ session, hold }, i) => ({
    session,
    requested_by: hold.requestedBy,
    hold_id: hold.id,
    ending_id: (endings[i] as EndingRow).id,
  }))
  await trx.insertInto('session_holds').values(rows).execute()
  return endings.map((ending) => ({ ending, how: 'accepted' }))
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
  return new Set(rows.map(({ session, requested_by }) => nameOf(session, requested_by)))
}

const nameOf = (session: string, party: string) => `${session} ${party}`

const idsOf = (sessions: SessionRow[]) => sessions.map(({ id }) => id)
