import { Type } from 'typebox'
import type { Target } from '../ending.ts'
import type { AnyHandler, Handler } from './handler.ts'
import { type TargetFields, targetFields, targetMistakes, targetOf } from './target.ts'

interface Reached {
  target: Target
  /** epoch ms */
  at: number
  event: { source: string; id: string; type: string }
}

const reached: Handler<TargetFields, Reached> = {
  schema: Type.Object(targetFields, {
    additionalProperties: false,
    description: 'an object with one of sessionId, roomId and roomExternalId',
  }),
  mistakes: (data) => targetMistakes(data, ''),
  learn: (_, { source, id, type, data }, __, { now }) => ({
    target: targetOf(data) as Target,
    at: now,
    event: { source, id, type },
  }),
  decide: ({ target, at, event }, { sender }) => ({
    store: [
      {
        target,
        dueAt: at,
        reason: 'time_limit_reached',
        requestedBy: sender,
        key: null,
        subject: null,
        urgent: false,
        metadata: { event },
      },
    ],
  }),
}

/** A limit that the sender keeps count of itself. */
export const timeLimit: Record<string, AnyHandler> = { 'time_limit.reached': reached }
