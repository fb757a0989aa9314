import { CLOCK_DOUBT_MS } from '../../clock.ts'
import type { TargetKind } from '../../ending.ts'
import { PENDING } from '../endings/conditions.ts'
import { ofSession } from '../endings/pages.ts'
import type { Db, EndingRow, SessionRow, Trx } from '../schema.ts'
import { namesIn } from './session-names.ts'

// Of each name: whoever is shown more than that is no wiser.
const MOST_PENDING = 100

/** The pending endings of a session or of the room that it is in, the earliest first: that one is in force. */
export async function pendingFor(db: Db | Trx, session: SessionRow | { id: string }): Promise<EndingRow[]> {
  const own = pendingOf(db, { kind: 'session', id: session.id }).execute()
  const ofRoom = 'started_at' in session ? roomTargets(session) : []
  const startedAt = 'started_at' in session ? session.started_at : 0
  const found = await Promise.all([
    own,
    // As in the worker: a session that had begun by then, give or take, is the ending's business.
    ...ofRoom.map((target) =>
      pendingOf(db, target)
        .where('due_at', '>=', startedAt - CLOCK_DOUBT_MS)
        .execute(),
    ),
  ])
  return found.flat().sort((a, b) => a.due_at - b.due_at || (a.id < b.id ? -1 : 1))
}

interface TargetColumns {
  kind: TargetKind
  id: string
}

function pendingOf(db: Db | Trx, { kind, id }: TargetColumns) {
  return db
    .selectFrom('endings')
    .selectAll()
    .where('state', '=', PENDING)
    .where('target_id', '=', id)
    .where('target_kind', '=', kind)
    .orderBy('due_at')
    .orderBy('id')
    .limit(MOST_PENDING)
}

/** The pending endings with the same target as `ending`, the earliest first. */
export function pendingLike(db: Db | Trx, ending: EndingRow): Promise<EndingRow[]> {
  return pendingOf(db, { kind: ending.target_kind, id: ending.target_id }).execute()
}

/**
 * The endings for a session and for its room, whatever their state, newest first: up to `limit` of each, since a busy
 * room has many and must not hide the session's own.
 */
export async function allFor(
  db: Db,
  session: SessionRow | { id: string },
  limit: number,
): Promise<EndingRow[]> {
  const newest = db.selectFrom('endings').selectAll().orderBy('id', 'desc').limit(limit)
  const rooms = 'started_at' in session ? roomTargets(session) : []
  const found = await Promise.all([
    newest.where('id', 'in', ofSession(db, session.id)).execute(),
    ...rooms.map(({ kind, id }) =>
      newest.where('target_id', '=', id).where('target_kind', '=', kind).execute(),
    ),
  ])
  const byId = new Map(found.flat().map((ending) => [ending.id, ending]))
  return [...byId.values()].sort((a, b) => (a.id > b.id ? -1 : 1))
}

/** The sessions known to be live that an ending is about; the one it names, where nothing else is known of that. */
export async function sessionsOf(
  db: Db | Trx,
  { target_kind: kind, target_id: id }: EndingRow,
): Promise<Array<SessionRow | { id: string }>> {
  const live = db.selectFrom('sessions').selectAll().where('over_at', 'is', null)
  const named = {
    session: [live.where('id', '=', id)],
    external: [live.where('external_id', '=', id)],
    room: [live.where('room_id', '=', id), live.where('friendly_url', '=', id)],
  }
  const rows = (await Promise.all(named[kind].map((query) => query.execute()))).flat()
  const byId = new Map(rows.map((row) => [row.id, row]))
  return byId.size === 0 && kind === 'session' ? [{ id }] : [...byId.values()]
}

function roomTargets(session: SessionRow): Array<{ kind: 'room' | 'external'; id: string }> {
  const { roomId, friendlyUrl, externalId } = namesIn(session)
  const rooms = [roomId, friendlyUrl]
    .filter((room) => room !== null)
    .map((id) => ({ kind: 'room' as const, id }))
  return externalId === null ? rooms : [...rooms, { kind: 'external' as const, id: externalId }]
}
