import { Type } from 'typebox'
import { Room, RoomExternalId, SessionId, type Target } from '../ending.ts'
import type { Mistake } from '../problem.ts'

/** How events name a target: exactly one of these, beside the other fields or by itself. */
export const targetFields = {
  sessionId: Type.Optional(SessionId),
  roomId: Type.Optional(Room),
  roomExternalId: Type.Optional(RoomExternalId),
}
export interface TargetFields {
  sessionId?: string
  roomId?: string
  roomExternalId?: string
}

/** The target that is named; undefined where none is. */
export function targetOf({ sessionId, roomId, roomExternalId }: TargetFields): Target | undefined {
  if (sessionId !== undefined) return { session: sessionId }
  if (roomId !== undefined) return { room: roomId }
  return roomExternalId === undefined ? undefined : { roomExternalId }
}

/** The mistake of naming none (unless that is fine) or more than one. */
export function targetMistakes(fields: TargetFields, pointer: string, optional = false): Mistake[] {
  const { sessionId, roomId, roomExternalId } = fields
  const named = [sessionId, roomId, roomExternalId].filter((name) => name !== undefined).length
  if (named === 1 || (optional && named === 0)) return []
  const wanted = optional ? 'at most one' : 'exactly one'
  return [{ pointer, detail: `must have ${wanted} of sessionId, roomId and roomExternalId` }]
}
