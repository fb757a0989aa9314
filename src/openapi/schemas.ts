import { type TSchema, Type } from 'typebox'
import { Target } from '../ending.ts'
import { Envelope } from '../events/envelope.ts'
import { handlers } from '../events/registry.ts'
import { targetFields } from '../events/target.ts'
import { ProblemDocument } from '../problem.ts'
import { PauseView } from '../routes/brake.ts'
import {
  Attempt,
  ChangeView,
  Ending,
  InForce,
  NotificationLine,
  WarningView,
} from '../routes/ending-schemas.ts'
import { DigitalSambaEvent, EventsAnswer } from '../routes/event-schemas.ts'
import { HoldView, Receipt, RuleRequest, RuleView, SessionView } from '../routes/limit-schemas.ts'
import { NotificationEvent, NotificationTry, NotificationView } from '../routes/notification-schemas.ts'
import { orRehearsed } from '../routes/rehearsal.ts'
import { EndingRequest, EndRequest, MoveRequest, SessionEndRequest } from '../routes/schemas.ts'
import { StatisticsPoint } from '../routes/statistics-schemas.ts'

/** The shapes that have a name in the document, and so in the clients that are made from it. */
export const SCHEMAS = new Map<string, TSchema>(
  Object.entries({
    Ending,
    Target,
    Attempt,
    Change: ChangeView,
    Warning: WarningView,
    InForce,
    Receipt,
    Rule: RuleView,
    Hold: HoldView,
    Session: SessionView,
    EventResults: EventsAnswer,
    RehearsedEnding: orRehearsed(Ending),
    RehearsedRule: orRehearsed(RuleView),
    RehearsedHold: orRehearsed(HoldView),
    RehearsedEventResults: orRehearsed(EventsAnswer),
    Pause: PauseView,
    NotificationLine,
    Notification: NotificationView,
    NotificationTry,
    NotificationEvent,
    StatisticsPoint,
    Problem: ProblemDocument,
    EndingRequest,
    EndRequest,
    SessionEndRequest,
    MoveRequest,
    RuleRequest,
    DigitalSambaEvent,
    CloudEvent: Envelope,
    EventTarget: Type.Object(targetFields, {
      additionalProperties: false,
      description: 'an object with one of sessionId, roomId and roomExternalId',
    }),
  }),
)

const NAMES = new Map([...SCHEMAS].map(([name, schema]) => [JSON.stringify(schema), name]))

// What MAX_TARGETS_PER_EVENT is where nobody has set it.
const MOST_TARGETS = 200

/** The name of the shape that each type of event has for its data; types that share a shape share its name. */
export const EVENT_DATA = new Map<string, string>()
for (const [type, { schema }] of handlers) {
  const shape = typeof schema === 'function' ? schema(MOST_TARGETS) : schema
  const name = nameOf(shape) ?? `${inCapitals(type)}Data`
  SCHEMAS.set(name, shape)
  NAMES.set(JSON.stringify(shape), name)
  EVENT_DATA.set(type, name)
}

/** The name of a shape, whichever copy of it this is. */
export function nameOf(schema: TSchema): string | undefined {
  return NAMES.get(JSON.stringify(schema))
}

/** `booking.cancelled` as `BookingCancelled`. */
export function inCapitals(type: string): string {
  return type.replace(/(?:^|[._])([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
