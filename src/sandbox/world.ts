import { randomUUID } from 'node:crypto'
import {
  type ChatMessage,
  type Happening,
  type NewRoom,
  type NewSession,
  newRoom,
  newSession,
  type Room,
  type Session,
} from './entities.ts'
import { SessionList } from './session-list.ts'
import { WorldError } from './world-error.ts'

/** What exists at the vendor: rooms, their sessions and who is in them. Knows nothing of HTTP. */
export class World {
  readonly sessions = new SessionList<Session>()
  readonly chat: ChatMessage[] = []
  readonly #now: () => number
  readonly #rooms = new Map<string, Room>()
  readonly #roomsByUrl = new Map<string, Room>()
  readonly #sessionsById = new Map<string, Session>()
  readonly #listeners = new Set<(happening: Happening) => void>()

  constructor(now: () => number) {
    this.#now = now
  }

  onHappening(listener: (happening: Happening) => void): void {
    this.#listeners.add(listener)
  }

  room(idOrUrl: string): Room | undefined {
    const room = this.#rooms.get(idOrUrl) ?? this.#roomsByUrl.get(idOrUrl)
    return room?.isDeleted ? undefined : room
  }

  session(id: string): Session | undefined {
    return this.#sessionsById.get(id)
  }

  createRoom(fields: NewRoom = {}): Room {
    const id = fields.id ?? randomUUID()
    const friendlyUrl = fields.friendlyUrl ?? `room-${id}`
    if (this.#rooms.has(id)) throw new WorldError('taken', `there is already a room ${id}`)
    if (this.#roomsByUrl.has(friendlyUrl)) throw new WorldError('taken', `there is already a ${friendlyUrl}`)
    const room = newRoom({ ...fields, id, friendlyUrl }, this.#now())
    this.#rooms.set(id, room)
    this.#roomsByUrl.set(friendlyUrl, room)
    this.#tell({ event: 'room_created', at: room.createdAt, room })
    return room
  }

  deleteRoom(idOrUrl: string): void {
    const room = this.#existingRoom(idOrUrl)
    for (const session of [...room.sessions.live()]) this.end(session.id)
    room.isDeleted = true
    this.#roomsByUrl.delete(room.friendlyUrl)
    this.#tell({ event: 'room_deleted', at: this.#now(), room })
  }

  /** A session starts because somebody has entered, so it begins with one participant. */
  startSession(fields: NewSession, participantName = 'First Guest'): Session {
    const room = this.#existingRoom(fields.room)
    const id = fields.id ?? randomUUID()
    if (this.#sessionsById.has(id)) throw new WorldError('taken', `there is already a session ${id}`)
    const sequence = this.#sessionsById.size
    const session = newSession(id, room, sequence, fields.startTime ?? this.#now())
    this.#sessionsById.set(id, session)
    this.sessions.add(session)
    room.sessions.add(session)
    this.#tell({ event: 'session_started', at: this.#now(), room, session })
    this.#join(session, participantName)
    return session
  }

  /** Nothing stops the participants of an ended session: whoever enters a room without a live one starts the next. */
  enter(idOrUrl: string, name = 'Guest'): Session {
    const room = this.#existingRoom(idOrUrl)
    const session = room.sessions.live().at(-1)
    if (!session) return this.startSession({ room: room.id }, name)
    this.#join(session, name)
    return session
  }

  /** Whoever came last leaves; the session stays live, since only a room that stays empty ends it. */
  leave(idOrUrl: string): Session | undefined {
    const session = this.#existingRoom(idOrUrl).sessions.live().at(-1)
    const participant = session?.participants.pop()
    if (!session || !participant) return session
    if (session.participants.length === 0) session.emptySince = this.#now()
    this.#tell({ event: 'participant_left', at: this.#now(), room: session.room, session, participant })
    return session
  }

  end(id: string): 'ended' | 'already-ended' | 'unknown' {
    const session = this.#sessionsById.get(id)
    if (!session) return 'unknown'
    if (!session.live) return 'already-ended'
    const { room, participants } = session
    const at = this.#now()
    session.live = false
    session.endTime = at
    session.participants = []
    this.sessions.ended(session)
    room.sessions.ended(session)
    for (const participant of participants)
      this.#tell({ event: 'participant_left', at, room, session, participant })
    this.#tell({ event: 'session_ended', at, room, session })
    return 'ended'
  }

  /** Undefined where the room has no live session to write into. */
  say(room: Room, message: string): ChatMessage | undefined {
    const session = room.sessions.live().at(-1)
    if (!session) return undefined
    const said = { room: room.id, session: session.id, message, at: this.#now() }
    this.chat.push(said)
    return said
  }

  #join(session: Session, name: string): void {
    const participant = { id: randomUUID(), name }
    session.participants.push(participant)
    session.emptySince = null
    session.participantsTotal += 1
    session.participantsMax = Math.max(session.participantsMax, session.participants.length)
    this.#tell({ event: 'participant_joined', at: this.#now(), room: session.room, session, participant })
  }

  #existingRoom(idOrUrl: string): Room {
    const room = this.room(idOrUrl)
    if (!room) throw new WorldError('not-found', `there is no room ${idOrUrl}`)
    return room
  }

  #tell(happening: Happening): void {
    for (const listener of this.#listeners) listener(happening)
  }
}
