import type { ProblemCode } from '../problem.ts'
import type { Operation } from './operation.ts'
import { BODY, LEDGER } from './problem-groups.ts'

const ONE: ProblemCode[] = [...LEDGER, 'path-too-long', 'not-found', 'forbidden']
const OWN = "A caller's own; all for operators, and for keys that may only read."

/** What callers were told of their endings. */
export const notificationOperations: Record<string, Operation> = {
  'GET /v1/notifications': {
    id: 'listNotifications',
    tag: 'notifications',
    summary: 'What callers were told, newest first',
    description: OWN,
    answers: { 200: 'A page of notifications; it may be short or empty and still have a next one.' },
    problems: [...LEDGER, 'forbidden'],
  },
  'GET /v1/notifications/:id': {
    id: 'getNotification',
    tag: 'notifications',
    summary: 'One notification, with every try',
    description: OWN,
    answers: { 200: 'The notification.' },
    problems: ONE,
  },
  'POST /v1/notifications/:id/retry': {
    id: 'retryNotification',
    tag: 'notifications',
    summary: 'Tell a failed or waiting notification again, now',
    bodyOptional: true,
    answers: { 200: 'The notification, to be told now.' },
    problems: [...ONE, ...BODY, 'already-told'],
  },
  'POST /v1/notifications/retry': {
    id: 'retryNotifications',
    tag: 'notifications',
    summary: 'Tell many failed or waiting notifications again, now',
    description:
      "A caller's own; an operator's all. Where `more` is true, the same request goes on with the rest.",
    answers: { 200: 'What was done, or would be.' },
    problems: [...LEDGER, ...BODY, 'forbidden'],
  },
}
