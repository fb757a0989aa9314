import { type Static, Type } from 'typebox'
import { UUID } from '../ending.ts'
import { ProblemDocument } from '../problem.ts'
import { orRehearsed } from './rehearsal.ts'

export const EventsAnswer = Type.Object({
  events: Type.Array(
    Type.Object({
      id: Type.String(),
      type: Type.String(),
      status: Type.Unsafe<'accepted' | 'duplicate' | 'stale' | 'ignored'>({
        type: 'string',
        enum: ['accepted', 'duplicate', 'stale', 'ignored'],
      }),
      endings: Type.Array(Type.String()),
      detail: Type.Optional(Type.String()),
    }),
  ),
})
export type EventsAnswer = Static<typeof EventsAnswer>
export const eventsAnswer = {
  200: orRehearsed(EventsAnswer),
  202: EventsAnswer,
  '4xx': ProblemDocument,
  '5xx': ProblemDocument,
}

const id = Type.Optional(Type.Union([Type.String({ pattern: UUID }), Type.Null()], { description: 'a UUID' }))
const name = Type.Optional(Type.String({ minLength: 1, description: 'the name of an event' }))

/**
 * What Digital Samba sends, in both spellings that it documents. Whatever else is in it is theirs to add.
 */
export const DigitalSambaEvent = Type.Object(
  { eventType: name, event: name, sessionId: id, session_id: id, roomId: id, room_id: id },
  { description: "a JSON object: one of Digital Samba's events" },
)
export type DigitalSambaEvent = Static<typeof DigitalSambaEvent>
