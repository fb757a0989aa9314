import type { ProblemCode } from '../problem.ts'

/** What is to be said of an operation beside what its schemas say. */
export interface Operation {
  /** names the operation in clients */
  id: string
  tag: 'endings' | 'events' | 'rules' | 'sessions' | 'notifications' | 'service'
  summary: string
  /** more of it, in Markdown */
  description?: string
  /** who may ask; absent: whoever has a key */
  open?: 'to-all' | 'to-signers' | 'to-digital-samba'
  /** every 2xx that it answers with; `type` where that is not JSON */
  answers: Record<number, string | { says: string; type: string }>
  /** every mistake of its own, beside those that any request may make */
  problems: ProblemCode[]
  /** the headers that it looks at */
  headers?: RequestHeader[]
  /** headers that its 2xx may have */
  answerHeaders?: AnswerHeader[]
  /** whether it may be sent without a body */
  bodyOptional?: true
}

export type RequestHeader = keyof typeof REQUEST_HEADERS
export type AnswerHeader = keyof typeof ANSWER_HEADERS

export const REQUEST_HEADERS = {
  'x-request-id': {
    description: 'Your own id for the request, to find it again in the log; it comes back in the answer.',
    schema: { type: 'string', pattern: '^[A-Za-z0-9._:-]{1,128}$' },
    example: 'b421ebdd-b4eb-4eca-a34c-68c9baaaba3f',
  },
  'Idempotency-Key': {
    description:
      'Makes a repeat harmless: within 24 hours the same method, path and body under the same key is answered with the same ending.',
    schema: { type: 'string', pattern: '^[!-~]{1,255}$' },
    example: '8e03978e-40d5-43e8-bc93-6894a57f9324',
  },
  Prefer: {
    description:
      '`wait=10`: answer as soon as it is over, or after so many seconds (30 at most). Anything else is ignored.',
    schema: { type: 'string' },
    example: 'wait=10',
  },
  traceparent: {
    description:
      'The trace that the request belongs to (W3C Trace Context); the calls it causes belong to it too.',
    schema: { type: 'string', pattern: '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}' },
    example: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  },
}

export const ANSWER_HEADERS = {
  'x-request-id': {
    description: "The id of the request: the caller's own, or a new one.",
    schema: { type: 'string' },
  },
  Location: { description: 'Where the ending is found.', schema: { type: 'string' } },
  'Idempotency-Replayed': {
    description: '`true` where the answer is that of an earlier request with the same Idempotency-Key.',
    schema: { type: 'string', const: 'true' },
  },
  'Preference-Applied': {
    description: 'How long the answer would have waited; absent where it did not wait.',
    schema: { type: 'string', pattern: '^wait=\\d+$' },
  },
  'Retry-After': {
    description: 'After how many seconds to ask again.',
    schema: { type: 'string', pattern: '^\\d+$' },
  },
  'WWW-Authenticate': { description: 'How to prove who asks.', schema: { type: 'string' } },
  Allow: { description: 'The methods that are allowed here.', schema: { type: 'string' } },
}
