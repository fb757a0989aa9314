import type { SelectQueryBuilder } from 'kysely'
import { CLOCK_DOUBT_MS } from '../../clock.ts'
import { PENDING } from '../endings/pending.ts'
import type { Db, EndingRow, SessionRow, Tables, Trx } from '../schema.ts'
import { namesIn } from './session-names.ts'

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
            // As in the worker: a session that had begun by then, give or take, is the ending's business.
            eb('due_at', '>=', startedAt - CLOCK_DOUBT_MS),
          ]),
        ),
      ]),
    )
    .orderBy('due_at')
    .orderBy('id')
    .execute()
}

/** The pending endings with the same target as `ending`. */
export function pendingLike(db: Db | Trx, ending: EndingRow): Promise<EndingRow[]> {
  return db
    .selectFrom('endings')
    .selectAll()
    .where('state', '=', PENDING)
    .where('target_kind', '=', ending.target_kind)
    .where('target_id', '=', ending.target_id)
    .execute()
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
  const own = newest.where((eb) =>
    eb.or([
      eb.and([eb('target_kind', '=', 'session'), eb('target_id', '=', session.id)]),
      eb('id', 'in', eb.selectFrom('attempts').select('ending_id').where('session', '=', session.id)),
    ]),
  )
  const found = [await own.execute(), 'started_at' in session ? await ofItsRoom(newest, session) : []].flat()
  const byId = new Map(found.map((ending) => [ending.id, ending]))
  return [...byId.values()].sort((a, b) => (a.id > b.id ? -1 : 1))
}

async function ofItsRoom<O>(query: SelectQueryBuilder<Tables, 'endings', O>, session: SessionRow) {
  const rooms = roomTargets(session)
  if (rooms.length === 0) return []
  return query
    .where((eb) =>
      eb.or(rooms.map(({ kind, id }) => eb.and([eb('target_kind', '=', kind), eb('target_id', '=', id)]))),
    )
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
