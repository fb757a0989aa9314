import type { RoomNames } from '../../time-limits/rules.ts'
import type { SessionRow } from '../schema.ts'

/** The names of a session's room. */
export function namesIn({ room_id, friendly_url, external_id }: SessionRow): RoomNames {
  return { roomId: room_id, friendlyUrl: friendly_url, externalId: external_id }
}
