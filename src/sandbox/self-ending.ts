import { type Clock, sleepUntil } from '../clock.ts'
import type { Happening } from './entities.ts'
import type { World } from './world.ts'

// The vendor's reference says 5 minutes (its dashboard's page says up to 7).
const EMPTY_ROOM_MS = 5 * 60_000
const MINUTE_MS = 60_000

/** Ends what ends by itself: sessions nobody is in any more, sessions of limited length, rooms with an expiry. */
export function endByItself(world: World, clock: Clock, closing: AbortSignal): void {
  const at = async (time: number, act: () => void) => {
    await sleepUntil(clock, time, closing)
    if (!closing.aborted) act()
  }

  world.onHappening((happening: Happening) => {
    const { event, room } = happening
    if (event === 'room_created' && room.expiresAt !== null) {
      void at(room.expiresAt, () => world.deleteRoom(room.id))
    }
    if (event === 'session_started' && room.sessionLength !== null) {
      const { id, startTime } = happening.session
      void at(startTime + room.sessionLength * MINUTE_MS, () => world.end(id))
    }
    if (event === 'participant_left' && happening.session.live) {
      const { session } = happening
      const since = session.emptySince
      if (since === null) return
      void at(since + EMPTY_ROOM_MS, () => {
        if (session.emptySince === since) world.end(session.id)
      })
    }
  })
}
