import { concernedAmong } from '../../time-limits/observe.ts'
import type { Rules, SeenSession } from '../../time-limits/rules.ts'
import type { Db, Engine, SessionRow, Trx } from '../schema.ts'
import { holdsInForce } from './holds.ts'
import { endSessionsInHeldRooms } from './session-holds.ts'
import { type Observed, reconcileLimitEndings } from './session-limits.ts'

/**
 * Sessions that are live, as Digital Samba has just told: those that rules limit get an ending of each party whose rule
 * it is (once; whoever moves or cancels its own is heard), those that began in a room that is held closed are ended now.
 */
export async function observeSessions(
  trx: Trx,
  engine: Engine,
  sessions: SeenSession[],
  rules: Rules,
  now: number,
): Promise<Observed[]> {
  const holds = await holdsInForce(trx, sessions, now, engine)
  const known = await withEndings(
    trx,
    sessions.map(({ id }) => id),
  )
  const concerned = concernedAmong(sessions, rules, holds, known)
  if (concerned.length === 0) return []
  await keep(trx, concerned, now)
  const ids = concerned.map(({ id }) => id)
  const rows = await trx.selectFrom('sessions').selectAll().where('id', 'in', ids).orderBy('id').execute()
  return [
    ...(await reconcileLimitEndings(trx, rows, rules, now)),
    ...(await endSessionsInHeldRooms(trx, rows, holds, now)),
  ]
}

/** Those for which a rule or a hold has made an ending, whether or not there still is one. */
async function withEndings(trx: Trx, ids: string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set()
  const found = [
    await trx.selectFrom('session_limits').select('session').where('session', 'in', ids).execute(),
    await trx.selectFrom('session_holds').select('session').where('session', 'in', ids).execute(),
  ].flat()
  return new Set(found.map(({ session }) => session))
}

async function keep(trx: Trx, sessions: SeenSession[], now: number): Promise<void> {
  await trx
    .insertInto('sessions')
    .values(
      sessions.map(({ id, roomId, friendlyUrl, externalId, startedAt }) => ({
        id,
        room_id: roomId,
        friendly_url: friendlyUrl,
        external_id: externalId,
        started_at: startedAt,
        seen_at: now,
      })),
    )
    .onConflict((conflict) =>
      conflict.column('id').doUpdateSet((eb) => ({
        seen_at: now,
        room_id: eb.ref('excluded.room_id'),
        friendly_url: eb.ref('excluded.friendly_url'),
        external_id: eb.ref('excluded.external_id'),
      })),
    )
    .execute()
}

/** A session that a rule or a hold is, or was, about. */
export function knownSession(db: Db | Trx, id: string): Promise<SessionRow | undefined> {
  return db.selectFrom('sessions').selectAll().where('id', '=', id.toLowerCase()).executeTakeFirst()
}
