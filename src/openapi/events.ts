import type { Schema } from './described.ts'
import { EVENT_DATA, inCapitals } from './schemas.ts'

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })

/** A shape for each known type of event, and one for all of them; unknown types are taken, and ignored. */
export function eventSchemas(): Record<string, Schema> {
  const known = [...EVENT_DATA].map(([type, data]) => [
    inCapitals(type),
    {
      allOf: [ref('CloudEvent')],
      type: 'object',
      required: ['type', 'data'],
      properties: { type: { type: 'string', const: type }, data: ref(data) },
    },
  ])
  const names = known.map(([name]) => name as string)
  return { ...Object.fromEntries(known), Event: { anyOf: [...names, 'CloudEvent'].map(ref) } }
}

/** The forms that a request with events may have. The route itself keeps its body as bytes, for the signature. */
export const eventBody = {
  required: true,
  content: {
    'application/cloudevents+json': { schema: ref('Event') },
    'application/cloudevents-batch+json': { schema: { type: 'array', maxItems: 1000, items: ref('Event') } },
    'application/json': { schema: ref('Event') },
  },
}
