import type { RoomNames, SeenSession } from '../../time-limits/rules.ts'
import type { SessionRow } from '../schema.ts'

/** The names of a session's room. */
export function namesIn({ room_id, friendly_url, external_id }: Omit<SessionRow, 'id'>): RoomNames {
  return { roomId: room_id, friendlyUrl: friendly_url, externalId: external_id }
}

export function seenIn(row: SessionRow): SeenSession {
  return { id: row.id, startedAt: row.started_at, ...namesIn(row) }
}
