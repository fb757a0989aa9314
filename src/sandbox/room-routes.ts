import { type Answer, empty, type FieldErrors, invalid, notFound, ok } from './answers.ts'
import type { AddOperation, ApiRequest } from './api-call.ts'
import type { NewRoom } from './entities.ts'
import type { State } from './state.ts'
import { roomView } from './views.ts'

const MAX_SESSION_LENGTH_MINUTES = 1440

export function roomRoutes({ world }: State, add: AddOperation): void {
  add('POST', '/rooms', 'other', onCreate)
  add('GET', '/rooms/:room', 'other', onRead)
  add('PATCH', '/rooms/:room', 'other', onUpdate)
  add('POST', '/rooms/:room/chat', 'chat', onChat)

  function onCreate({ body }: ApiRequest): Answer {
    const { fields, errors } = parseRoom(body)
    if (fields.friendlyUrl !== undefined && world.room(fields.friendlyUrl)) {
      errors.friendly_url = ['The friendly url has already been taken.']
    }
    return Object.keys(errors).length > 0 ? invalid(errors) : ok(roomView(world.createRoom(fields)))
  }

  function onRead({ params }: ApiRequest): Answer {
    const room = world.room(params.room ?? '')
    return room ? ok(roomView(room)) : notFound()
  }

  function onUpdate({ params, body }: ApiRequest): Answer {
    const room = world.room(params.room ?? '')
    if (!room) return notFound()
    if (typeof body.is_locked === 'boolean') room.isLocked = body.is_locked
    return ok(roomView(room))
  }

  function onChat({ params, body }: ApiRequest): Answer {
    const room = world.room(params.room ?? '')
    if (!room) return notFound()
    if (typeof body.message !== 'string' || body.message === '') {
      return invalid({ message: ['The message field is required.'] })
    }
    return world.say(room, body.message) ? empty : notFound()
  }
}

function parseRoom(body: Record<string, unknown>): { fields: NewRoom; errors: FieldErrors } {
  const fields: NewRoom = {}
  const errors: FieldErrors = {}
  for (const [name, field] of [
    ['friendly_url', 'friendlyUrl'],
    ['external_id', 'externalId'],
    ['description', 'description'],
  ] as const) {
    const value = body[name]
    if (typeof value === 'string') fields[field] = value
    else if (value !== undefined && value !== null) errors[name] = [`The ${name} must be a string.`]
  }
  const length = body.session_length ?? undefined
  if (isSessionLength(length)) fields.sessionLength = length
  else if (length !== undefined) errors.session_length = ['The session length must be between 1 and 1440.']
  const expiresAt = body.expires_at ?? undefined
  const expiry = typeof expiresAt === 'string' ? parseUtc(expiresAt) : Number.NaN
  if (!Number.isNaN(expiry)) fields.expiresAt = expiry
  else if (expiresAt !== undefined) errors.expires_at = ['The expires at is not a valid date.']
  return { fields, errors }
}

function isSessionLength(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_SESSION_LENGTH_MINUTES
}

/** Without a zone it is UTC, like every time of this vendor. */
function parseUtc(text: string): number {
  return Date.parse(/(Z|[+-]\d{2}:?\d{2})$/.test(text) ? text : `${text.replace(' ', 'T')}Z`)
}
