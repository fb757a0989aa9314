/**
 * A notification: what a caller is told of one of its endings. This file knows the noun and nothing of HTTP or SQL.
 */

/** What has become of the ending. */
export const NOTIFICATION_TYPES = ['ended', 'failed', 'cancelled', 'confirmed', 'reopened'] as const
export type NotificationType = (typeof NOTIFICATION_TYPES)[number]

/** `pending` waits for its next try; `told`: the receiver answered 2xx; `failed`: given up, or refused for good by a 410. */
export const NOTIFICATION_STATES = ['pending', 'told', 'failed'] as const
export type NotificationState = (typeof NOTIFICATION_STATES)[number]

const PREFIX = 'curfew.ending.'

/** The type as a CloudEvent has it. */
export type EventType = `curfew.ending.${NotificationType}`
export const EVENT_TYPES = NOTIFICATION_TYPES.map((type): EventType => `${PREFIX}${type}`)

export function eventType(type: NotificationType): EventType {
  return `${PREFIX}${type}`
}

export function notificationType(type: EventType): NotificationType {
  return type.slice(PREFIX.length) as NotificationType
}

/** Where a caller is told of its endings. */
export interface Receiver {
  caller: string
  url: string
  /** of Standard Webhooks (`whsec_…`); two while one takes the other's place: what is sent is signed with both */
  secrets: string[]
}

/** What of a URL may be shown: paths and queries of webhooks hold secrets, and so do names and passwords. */
export function originOf({ url }: Receiver): string {
  return new URL(url).origin
}
