import type { Room, Session } from './entities.ts'
import type { Webhook } from './webhooks.ts'

/** The three spellings found in the vendor's documents; all are UTC, to the second. */
const SPELLINGS: ((iso: string) => string)[] = [
  (iso) => iso.replace('T', ' '),
  (iso) => `${iso}Z`,
  (iso) => `${iso}.000000Z`,
]

/** Which spelling a session gets depends on the session alone, so that a client that reads only some is found. */
function spellTime(at: number, spelling: number): string {
  const iso = new Date(at).toISOString().slice(0, 'YYYY-MM-DDTHH:MM:SS'.length)
  return (SPELLINGS[spelling % SPELLINGS.length] as (iso: string) => string)(iso)
}

function endTime(session: Session, name: string): Record<string, string | null> {
  if (session.endTime !== null) return { [name]: spellTime(session.endTime, session.sequence) }
  return session.sequence % 2 === 0 ? { [name]: null } : {}
}

export function sessionListItem(session: Session): Record<string, unknown> {
  const { room } = session
  return {
    id: session.id,
    start_time: spellTime(session.startTime, session.sequence),
    ...endTime(session, 'end_time'),
    room_id: room.id,
    room_external_id: room.externalId,
    description: room.description,
    friendly_url: room.friendlyUrl,
    room_is_deleted: room.isDeleted,
    // The documented example of an ended session has no such field.
    ...(session.live ? { participants_live: session.participants.length } : {}),
    participants_total: session.participantsTotal,
    participants_max: session.participantsMax,
    live: session.live,
  }
}

/** The same session under the other names that `GET /sessions/{session}` uses. */
export function sessionStatistics(session: Session, now: number): Record<string, unknown> {
  const { room } = session
  return {
    room_id: room.id,
    room_external_id: room.externalId,
    room_description: room.description,
    room_friendly_url: room.friendlyUrl,
    room_privacy: 'public',
    room_source: 'api',
    room_max_participants: 100,
    room_is_deleted: room.isDeleted,
    session_id: session.id,
    session_duration: Math.max(0, Math.floor(((session.endTime ?? now) - session.startTime) / 1000)),
    session_live: session.live,
    session_start_time: spellTime(session.startTime, session.sequence),
    ...endTime(session, 'session_end_time'),
    live_participants: session.participants.length,
    active_participants: session.participantsTotal,
    max_concurrent_participants: session.participantsMax,
  }
}

export function roomView(room: Room): Record<string, unknown> {
  return {
    id: room.id,
    description: room.description,
    friendly_url: room.friendlyUrl,
    external_id: room.externalId,
    privacy: 'public',
    max_participants: 100,
    is_locked: room.isLocked,
    session_length: room.sessionLength,
    expires_at: room.expiresAt === null ? null : spellTime(room.expiresAt, 2),
    created_at: spellTime(room.createdAt, 1),
  }
}

export function webhookView(webhook: Webhook): Record<string, unknown> {
  return { ...webhookListItem(webhook), events: webhook.events }
}

/** In the documented list the events are left out. */
export function webhookListItem(webhook: Webhook): Record<string, unknown> {
  return {
    id: webhook.id,
    endpoint: webhook.endpoint,
    authorization_header: webhook.authorizationHeader,
    name: webhook.name,
    created_at: spellTime(webhook.createdAt, 1),
    updated_at: spellTime(webhook.updatedAt, 1),
  }
}
