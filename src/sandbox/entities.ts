import { SessionList } from './session-list.ts'

export interface Room {
  readonly id: string
  readonly friendlyUrl: string
  readonly externalId: string | null
  readonly description: string | null
  /** Whole minutes after which each of its sessions ends by itself. */
  readonly sessionLength: number | null
  /** Epoch ms. */
  readonly expiresAt: number | null
  /** Epoch ms. */
  readonly createdAt: number
  isLocked: boolean
  isDeleted: boolean
  readonly sessions: SessionList<Session>
}

interface Participant {
  readonly id: string
  readonly name: string
}

export interface Session {
  readonly id: string
  readonly room: Room
  /** The order of creation: settles the order of sessions that started at the same time. */
  readonly sequence: number
  /** Epoch ms. */
  readonly startTime: number
  /** Epoch ms; null while live. */
  endTime: number | null
  live: boolean
  /** Epoch ms at which the last one left; null while somebody is in. */
  emptySince: number | null
  /** Who is in it now. */
  participants: Participant[]
  participantsTotal: number
  participantsMax: number
}

export interface ChatMessage {
  readonly room: string
  readonly session: string
  readonly message: string
  /** Epoch ms. */
  readonly at: number
}

export interface NewRoom {
  id?: string
  friendlyUrl?: string
  externalId?: string | null
  description?: string | null
  sessionLength?: number | null
  /** Epoch ms. */
  expiresAt?: number | null
}

export interface NewSession {
  /** Id or friendly URL. */
  room: string
  id?: string
  /** Epoch ms. */
  startTime?: number
}

export type Happening =
  | { event: 'room_created' | 'room_deleted'; at: number; room: Room }
  | { event: 'session_started' | 'session_ended'; at: number; room: Room; session: Session }
  | {
      event: 'participant_joined' | 'participant_left'
      at: number
      room: Room
      session: Session
      participant: Participant
    }

export function newRoom(fields: NewRoom & { id: string; friendlyUrl: string }, now: number): Room {
  return {
    id: fields.id,
    friendlyUrl: fields.friendlyUrl,
    externalId: fields.externalId ?? null,
    description: fields.description ?? null,
    sessionLength: fields.sessionLength ?? null,
    expiresAt: fields.expiresAt ?? null,
    createdAt: now,
    isLocked: false,
    isDeleted: false,
    sessions: new SessionList(),
  }
}

export function newSession(id: string, room: Room, sequence: number, startTime: number): Session {
  return {
    id,
    room,
    sequence,
    startTime,
    endTime: null,
    live: true,
    emptySince: null,
    participants: [],
    participantsTotal: 0,
    participantsMax: 0,
  }
}
