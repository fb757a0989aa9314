import { Type } from 'typebox'
import type { Mistake } from '../problem.ts'
import { parseTime } from '../time.ts'
import { readTraceparent } from '../traceparent.ts'
import { checker } from '../validation.ts'
import type { Event } from './handler.ts'

const FUTURE_MS = 5 * 60_000
const text = (description: string, maxLength: number, pattern = '^[^\\p{Cc}\\p{Cs}]+$') =>
  Type.String({ minLength: 1, maxLength, pattern, description })

/** CloudEvents 1.0. The official SDK fills in what is missing, which would make every event a new one; so the schema is ours. */
export const Envelope = Type.Object(
  {
    specversion: Type.Literal('1.0', { description: 'the string 1.0' }),
    id: text('a string of 1 to 200 characters that is unique within its source', 200),
    source: text('a URI reference of 1 to 500 characters', 500, '^[^\\s\\p{Cc}\\p{Cs}]+$'),
    type: text('a type such as booking.cancelled or com.example.booking.cancelled', 200),
    time: Type.Optional(
      Type.String({
        format: 'rfc3339',
        description: 'a time as in RFC 3339 with an offset or Z, for example 2026-11-23T15:00:00Z',
      }),
    ),
    subject: Type.Optional(text('a string of 1 to 500 characters', 500)),
    dataschema: Type.Optional(text('a URI of 1 to 500 characters', 500)),
    datacontenttype: Type.Optional(
      Type.String({
        pattern: '^[a-zA-Z0-9.-]+/([a-zA-Z0-9.-]+\\+)?[jJ][sS][oO][nN] *(;.*)?$',
        description: 'a JSON type such as application/json',
      }),
    ),
    data: Type.Optional(Type.Unknown()),
  },
  {
    // Extension attributes: the specification allows these names and these kinds of values.
    patternProperties: {
      '^(?!(specversion|id|source|type|time|subject|dataschema|datacontenttype|data)$)[a-z0-9]{1,50}$': {
        anyOf: [
          { type: 'string' },
          { type: 'boolean' },
          { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
        ],
        description: 'an extension attribute: a string, a whole number, true or false',
      },
    },
    additionalProperties: false,
    description: 'an object: a CloudEvent',
  },
)
const check = checker(Envelope)

// Far more than anybody has, and few enough to be gone through.
const MOST_ATTRIBUTES = 100

/** The event of an envelope as it came, or what is wrong with it. `now` is epoch ms. */
export function readEnvelope(raw: unknown, now: number): { event: Event } | { mistakes: Mistake[] } {
  if (typeof raw === 'object' && raw !== null && Object.keys(raw).length > MOST_ATTRIBUTES)
    return { mistakes: [{ pointer: '', detail: `must have at most ${MOST_ATTRIBUTES} attributes` }] }
  const envelope = withoutNulls(raw)
  const mistakes = check(envelope)
  if (mistakes.length > 0) return { mistakes }
  const { source, id, type, time: told, data } = envelope as Record<string, string>
  const time = told === undefined ? undefined : parseTime(told)
  if (time !== undefined && time > now + FUTURE_MS)
    return { mistakes: [{ pointer: '/time', detail: 'must not be more than five minutes ahead' }] }
  const traceparent = readTraceparent((envelope as Record<string, unknown>).traceparent)
  return { event: { source, id, type, time, traceparent, data } as Event }
}

// The JSON format's specification: an attribute that is null is as one that is not there.
function withoutNulls(raw: unknown): unknown {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return raw
  return Object.fromEntries(Object.entries(raw).filter(([name, value]) => value !== null || name === 'data'))
}
