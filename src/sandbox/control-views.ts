import type { ChatMessage, Room, Session } from './entities.ts'
import type { Settings } from './settings.ts'

/** What the controls show: plain names and one spelling of time, unlike the vendor's. */
export function controlRoom({ sessions: _, ...room }: Room): Record<string, unknown> {
  return { ...room, expiresAt: rfc3339(room.expiresAt), createdAt: rfc3339(room.createdAt) }
}

export function controlSession(session: Session): Record<string, unknown> {
  const { room, sequence: _, ...rest } = session
  return {
    ...rest,
    room: room.id,
    roomFriendlyUrl: room.friendlyUrl,
    roomExternalId: room.externalId,
    startTime: rfc3339(session.startTime),
    endTime: rfc3339(session.endTime),
    emptySince: rfc3339(session.emptySince),
  }
}

export function controlMessage(message: ChatMessage): Record<string, unknown> {
  return { ...message, at: rfc3339(message.at) }
}

/** Without the credentials: they might be somebody's real ones. */
export function controlSettings({ credentials: _, ...settings }: Settings): Record<string, unknown> {
  return settings
}

function rfc3339(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString()
}
