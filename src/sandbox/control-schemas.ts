import { FAULT_KINDS } from './faults.ts'
import { FORMS } from './settings.ts'

const text = { type: 'string', minLength: 1 }
const nullableText = { type: ['string', 'null'] }
const flag = { type: 'boolean' }
const count = { type: 'integer', minimum: 0 }
const positive = { type: 'integer', minimum: 1 }
/** RFC 3339, with an offset or Z. */
const time = {
  type: 'string',
  pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d+)?(Z|[+-]\\d{2}:\\d{2})$',
}

function object(properties: Record<string, unknown>, required: string[] = []) {
  return { type: 'object', additionalProperties: false, properties, required }
}

export const roomSchema = object({
  id: text,
  friendlyUrl: text,
  externalId: nullableText,
  description: nullableText,
  sessionLength: positive,
  expiresAt: time,
})

export const sessionSchema = object({ room: text, id: text, startTime: time }, ['room'])

export const enterSchema = object({ name: text })

export const faultSchema = object(
  {
    kind: { enum: FAULT_KINDS },
    operation: { enum: ['end', 'session', 'sessions', 'room-sessions', 'chat', 'webhooks', 'other'] },
    session: text,
    room: text,
    method: text,
    // JSON has no Infinity.
    times: { anyOf: [positive, { const: 'always' }] },
    status: { type: 'integer', minimum: 200, maximum: 599 },
    headers: { type: 'object', additionalProperties: { type: 'string' } },
    body: {},
    delayMs: count,
    carryOut: flag,
  },
  ['kind'],
)

export const settingsSchema = object({
  credentials: object({ teamId: text, developerKey: text }),
  forms: { type: 'array', items: { enum: FORMS }, uniqueItems: true },
  alreadyEndedStatus: { enum: [404, 409, 422] },
  retryAfterAs: { enum: ['seconds', 'date'] },
  callsPerMinute: count,
  webhooks: object({
    drop: flag,
    repeat: count,
    delayMs: count,
    shuffle: flag,
    verbatim: flag,
    newerNames: flag,
  }),
})
