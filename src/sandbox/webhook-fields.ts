import type { FieldErrors } from './answers.ts'
import { EVENT_NAMES, type EventName, type WebhookFields } from './webhooks.ts'

/** Reads what a caller sent for a webhook; `partial` for a PATCH, where everything may be missing. */
export function parseWebhookFields(
  body: Record<string, unknown>,
  partial: boolean,
): { fields: Partial<WebhookFields>; errors: FieldErrors } {
  const errors: FieldErrors = {}
  const check = (field: string, problem: string | undefined) => {
    if (problem) errors[field] = [problem]
  }
  if (!partial || body.endpoint !== undefined) check('endpoint', endpointProblem(body.endpoint))
  if (!partial || body.events !== undefined) check('events', eventsProblem(body.events))
  if (body.name !== undefined && body.name !== null) check('name', lengthProblem('name', body.name))
  const header = body.authorization_header
  if (header !== undefined && header !== null && typeof header !== 'string') {
    check('authorization_header', 'The authorization header must be a string.')
  }
  return { errors, fields: taken(body) }
}

function taken(body: Record<string, unknown>): Partial<WebhookFields> {
  const fields: Partial<WebhookFields> = {}
  if (body.endpoint !== undefined) fields.endpoint = body.endpoint as string
  if (body.events !== undefined) fields.events = body.events as EventName[]
  if (body.name !== undefined) fields.name = body.name as string | null
  if (body.authorization_header !== undefined) {
    fields.authorizationHeader = body.authorization_header as string | null
  }
  return fields
}

function endpointProblem(endpoint: unknown): string | undefined {
  if (endpoint === undefined || endpoint === null) return 'The endpoint field is required.'
  const tooShortOrLong = lengthProblem('endpoint', endpoint)
  if (tooShortOrLong) return tooShortOrLong
  const url = URL.canParse(endpoint as string) ? new URL(endpoint as string) : undefined
  return url && /^https?:$/.test(url.protocol) ? undefined : 'The endpoint must be a valid URL.'
}

function eventsProblem(events: unknown): string | undefined {
  if (!Array.isArray(events) || events.length === 0) return 'The events field is required.'
  return events.every((event) => EVENT_NAMES.includes(event)) ? undefined : 'The selected events are invalid.'
}

function lengthProblem(field: string, value: unknown): string | undefined {
  if (typeof value !== 'string') return `The ${field} must be a string.`
  if (value.length < 3) return `The ${field} must be at least 3 characters.`
  if (value.length > 100) return `The ${field} must not be greater than 100 characters.`
  return undefined
}
