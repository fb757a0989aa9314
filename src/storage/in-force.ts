import { PENDING } from './pending.ts'
import type { Db, EndingRow, SessionRow, Trx } from './schema.ts'
import { namesIn } from './sessions.ts'

// As in the worker: a session that had begun by then, give or take, is the ending's business.
export const CLOCK_DOUBT_MS = 2000

/** The pending endings of a session or of the room that it is in, the earliest first: that one is in force. */
export function pendingFor(db: Db | Trx, session: SessionRow | { id: string }): Promise<EndingRow[]> {
  const rooms = 'started_at' in session ? roomTargets(session) : []
  const startedAt = 'started_at' in session ? session.started_at : 0
  return db
    .selectFrom('endings')
    .selectAll()
    .where('state', '=', PENDING)
    .where((eb) =>
      eb.or([
        eb.and([eb('target_kind', '=', 'session'), eb('target_id', '=', session.id)]),
        ...rooms.map(({ kind, id }) =>
          eb.and([
            eb('target_kind', '=', kind),
            eb('target_id', '=', id),
            eb('due_at', '>=', startedAt - CLOCK_DOUBT_MS),
          ]),
        ),
      ]),
    )
    .orderBy('due_at')
    .orderBy('id')
    .execute()
}

/** Every ending for a session or for a room that it is in, whatever its state, newest first. */
export function allFor(db: Db, session: SessionRow | { id: string }, limit: number): Promise<EndingRow[]> {
  const rooms = 'started_at' in session ? roomTargets(session) : []
  return db
    .selectFrom('endings')
    .selectAll()
    .where((eb) =>
      eb.or([
        eb.and([eb('target_kind', '=', 'session'), eb('target_id', '=', session.id)]),
        eb('id', 'in', eb.selectFrom('attempts').select('ending_id').where('session', '=', session.id)),
        ...rooms.map(({ kind, id }) => eb.and([eb('target_kind', '=', kind), eb('target_id', '=', id)])),
      ]),
    )
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
}

/** The sessions known to be live that an ending is about; the one it names, where nothing else is known of that. */
export async function sessionsOf(
  db: Db | Trx,
  { target_kind: kind, target_id: id }: EndingRow,
): Promise<Array<SessionRow | { id: string }>> {
  const rows = await db
    .selectFrom('sessions')
    .selectAll()
    .where('over_at', 'is', null)
    .where((eb) => {
      if (kind === 'session') return eb('id', '=', id)
      if (kind === 'external') return eb('external_id', '=', id)
      return eb.or([eb('room_id', '=', id), eb('friendly_url', '=', id)])
    })
    .execute()
  return rows.length === 0 && kind === 'session' ? [{ id }] : rows
}

function roomTargets(session: SessionRow): Array<{ kind: 'room' | 'external'; id: string }> {
  const { roomId, friendlyUrl, externalId } = namesIn(session)
  const rooms = [roomId, friendlyUrl]
    .filter((room) => room !== null)
    .map((id) => ({ kind: 'room' as const, id }))
  return externalId === null ? rooms : [...rooms, { kind: 'external' as const, id: externalId }]
}
