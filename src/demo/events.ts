import type { Ending } from '../routes/ending-schemas.ts'
import { formatTime } from '../time.ts'
import type { Stage } from './steps.ts'

const MINUTE = 60_000

/** A booking as its system tells of it: scheduled, moved, and cancelled while it is going on. */
export async function followsBooking({ sandbox, curfew, say, expect, now }: Stage): Promise<void> {
  say('the booking system publishes events: scheduled, rescheduled, cancelled')
  const room = sandbox.createRoom({ friendlyUrl: 'board-room' })
  const session = sandbox.startSession({ room: room.id })
  const booking = { bookingId: '8731', roomId: 'board-room', startsAt: formatTime(now() - 10 * MINUTE) }
  const dueAt = async (minutes: number, type: string) => {
    const data = { ...booking, endsAt: formatTime(now() + minutes * MINUTE) }
    const { endings } = await curfew.event('booking', type, data)
    const ending = await curfew.get<Ending>(`/v1/endings/${endings[0]}`)
    say(
      `  ${type}: ${ending.key} is ${ending.state}, due in ${Math.round((Date.parse(ending.dueAt) - now()) / MINUTE)} minutes`,
    )
    return ending
  }
  const scheduled = await dueAt(50, 'booking.scheduled')
  const moved = await dueAt(60, 'booking.rescheduled')
  expect(scheduled.id === moved.id && moved.dueAt > scheduled.dueAt, 'a rescheduled booking moves its ending')
  await curfew.event('booking', 'booking.cancelled', { bookingId: '8731' })
  await sandbox.waitForCalls(() => !session.live)
  say('  booking.cancelled: its session is over')
}

/** Five rooms of an account that does not pay, by one signed event. */
export async function suspendsAccount({ sandbox, curfew, say, expect }: Stage): Promise<void> {
  say('billing suspends an account with five rooms, by one signed event')
  const rooms = Array.from({ length: 5 }, () => sandbox.createRoom({}))
  const sessions = rooms.map(({ id }) => sandbox.startSession({ room: id }))
  const targets = rooms.map(({ id }) => ({ roomId: id }))
  const { endings } = await curfew.event('billing', 'billing.suspended', { account: 'acme', targets })
  await sandbox.waitForCalls(() => sessions.every(({ live }) => !live))
  say(`  ${endings.length} endings, and all five sessions are over`)
  expect(endings.length === 5, 'each room has an ending of its own')
}
