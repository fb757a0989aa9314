import type { Room } from '../../src/sandbox/sandbox.ts'
import { MINUTE_MS } from './asked.ts'
import type { Stage } from './stage.ts'

// After an end some walk back in, at once or a little later, and more than once.
const WALKS_BACK = 0.6

/** Somebody walks in, and may have walked out again before long. */
export function enter(stage: Stage, room: Room | undefined = stage.pick(stage.rooms)): void {
  if (room) stage.sandbox.enter(room.id, 'Guest')
}

export function leave(stage: Stage): void {
  const room = stage.pick(stage.rooms)
  if (room) stage.sandbox.leave(room.id)
}

/** Everybody leaves; five minutes later the session is over by itself. */
export function goHome(stage: Stage): void {
  const session = stage.pick(stage.live())
  while (session?.live && session.participants.length > 0) stage.sandbox.leave(session.room.id)
}

/** Told of a session that is over: its people may still want to talk. */
export function mayWalkBack(stage: Stage, room: Room): void {
  if (!stage.chance(WALKS_BACK) || stage.isCalm) return
  const ms = stage.chance(0.5) ? stage.between(1, 1500) : stage.between(1000, 3 * MINUTE_MS)
  stage.later(ms, () => enter(stage, room))
}
