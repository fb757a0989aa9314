import type { ProblemCode } from '../problem.ts'
import type { Operation } from './operation.ts'
import { BODY, LEDGER } from './problem-groups.ts'

const ONE: ProblemCode[] = [...LEDGER, 'path-too-long', 'not-found']

const asking: Pick<Operation, 'tag' | 'headers' | 'answerHeaders' | 'answers'> = {
  tag: 'endings',
  headers: ['Idempotency-Key', 'Prefer', 'traceparent'],
  answerHeaders: ['Location', 'Idempotency-Replayed', 'Preference-Applied'],
  answers: {
    200: 'It is over, where the request said how long to wait; or what would be, where it was a dry run.',
    202: 'The ending, on disk: it will be carried out whatever breaks.',
  },
}
const changing: Pick<Operation, 'tag' | 'headers' | 'answerHeaders'> = {
  tag: 'endings',
  headers: ['Idempotency-Key', 'traceparent'],
  answerHeaders: ['Idempotency-Replayed'],
}
const ASKED: ProblemCode[] = [...LEDGER, ...BODY, 'forbidden', 'in-progress', 'idempotency-mismatch']
const CHANGED: ProblemCode[] = [...ONE, ...BODY, 'forbidden', 'in-progress', 'idempotency-mismatch']

/** What callers do with endings. */
export const endingOperations: Record<string, Operation> = {
  'POST /v1/sessions/:sessionId/end': {
    ...asking,
    id: 'endSession',
    summary: 'End a session, now or at a time',
    bodyOptional: true,
    problems: [...ASKED, 'path-too-long'],
  },
  'POST /v1/rooms/:room/end': {
    ...asking,
    id: 'endRoom',
    summary: 'End whatever is live in a room, now or at a time',
    description: 'Only sessions that had begun by then are ended.',
    bodyOptional: true,
    problems: [...ASKED, 'path-too-long', 'too-many'],
  },
  'POST /v1/endings': {
    ...asking,
    id: 'createEnding',
    summary: 'End a target, now or at a time: the general form',
    problems: [...ASKED, 'too-many'],
  },
  'GET /v1/endings': {
    id: 'listEndings',
    tag: 'endings',
    summary: 'The ledger, newest first',
    answers: { 200: 'A page of endings; it may be short or empty and still have a next one.' },
    problems: LEDGER,
  },
  'GET /v1/endings/:id': {
    id: 'getEnding',
    tag: 'endings',
    summary: 'One ending, with every call that was made for it',
    answers: { 200: 'The ending.' },
    problems: ONE,
  },
  'PATCH /v1/endings/:id': {
    ...changing,
    id: 'moveEnding',
    summary: 'Move a pending ending: ten more minutes',
    answers: { 200: 'The ending, moved, and what is in force for its session now.' },
    problems: [...CHANGED, 'not-pending'],
  },
  'POST /v1/endings/:id/cancel': {
    ...changing,
    id: 'cancelEnding',
    summary: 'Take a pending ending back',
    bodyOptional: true,
    answers: { 200: 'The ending, cancelled.' },
    problems: [...CHANGED, 'not-pending'],
  },
  'POST /v1/endings/:id/retry': {
    ...changing,
    id: 'retryEnding',
    summary: 'Try a failed ending again, now',
    bodyOptional: true,
    answers: { 200: 'The ending, pending again.' },
    problems: [...CHANGED.filter((code) => code !== 'in-progress'), 'not-failed', 'key-taken'],
  },
  'POST /v1/endings/cancel': {
    id: 'cancelEndings',
    tag: 'endings',
    summary: 'Take many pending endings back',
    description:
      "A caller's own; an operator's all. Where `more` is true, the same request goes on with the rest.",
    answers: { 200: 'What was done, or would be.' },
    problems: [...LEDGER, ...BODY, 'forbidden'],
  },
  'POST /v1/endings/retry': {
    id: 'retryEndings',
    tag: 'endings',
    summary: 'Try many failed endings again',
    description:
      "A caller's own; an operator's all. Where `more` is true, the same request goes on with the rest.",
    answers: { 200: 'What was done, or would be.' },
    problems: [...LEDGER, ...BODY, 'forbidden'],
  },
  'GET /v1/endings/:id/receipt': {
    id: 'getReceipt',
    tag: 'endings',
    summary: 'One ending as a record that stands by itself',
    answers: { 200: 'The receipt.' },
    problems: ONE,
  },
}
