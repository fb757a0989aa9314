import { type EventType, NOTIFICATION_TYPES } from '../notification.ts'
import { inCapitals } from './schemas.ts'

const SAYS: Record<(typeof NOTIFICATION_TYPES)[number], string> = {
  ended: 'An ending is over: `outcome` says how.',
  failed: 'An ending was given up: `failure` says why.',
  cancelled: 'Somebody else than its caller took an ending back.',
  confirmed: 'The session of an ending was seen not to be live.',
  reopened: 'The session of an ending was seen live long after its end, so that it is to be ended again.',
}

/** What Curfew sends to the URL of a caller in NOTIFY_URLS. */
export function webhooks() {
  return Object.fromEntries(
    NOTIFICATION_TYPES.map((type) => {
      const event: EventType = `curfew.ending.${type}`
      return [event, { post: sent(type, event) }]
    }),
  )
}

function sent(type: (typeof NOTIFICATION_TYPES)[number], event: EventType) {
  return {
    operationId: `on${inCapitals(type)}`,
    tags: ['notifications'],
    summary: SAYS[type].split(':')[0]?.replace(/\.$/, ''),
    description: `${SAYS[type]} Signed as in Standard Webhooks; sent until it is answered 2xx, at least once and in no promised order.`,
    parameters: HEADERS,
    requestBody: {
      required: true,
      content: {
        'application/cloudevents+json': {
          schema: {
            allOf: [
              { $ref: '#/components/schemas/NotificationEvent' },
              { type: 'object', properties: { type: { type: 'string', const: event } } },
            ],
          },
        },
      },
    },
    responses: {
      '2XX': { description: 'It was heard, and is not told again.' },
      410: { description: 'Nobody is there any more: it is given up at once.' },
      default: { description: 'It is told again later; a longer `retry-after` is kept.' },
    },
  }
}

const header = (name: string, description: string, example: string) => ({
  name,
  in: 'header',
  required: true,
  description,
  schema: { type: 'string' },
  example,
})

const HEADERS = [
  header(
    'webhook-id',
    'The id of the notification, the same at every try.',
    '0199b8a2-6f3c-7000-8000-0a1b2c3d4e5f',
  ),
  header('webhook-timestamp', 'When this try was made, in seconds since 1970.', '1795734512'),
  header(
    'webhook-signature',
    'One signature for each secret, with a blank between them.',
    'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=',
  ),
]
