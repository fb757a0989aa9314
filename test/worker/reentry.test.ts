import t, { type Test } from 'tap'
import type { Session } from '../../src/sandbox/sandbox.ts'
import { answersOf, event, type Fields, post } from '../events/messages.ts'
import { until } from '../helper/service.ts'
import { MINUTE, SECRET, SWEEP_MS, startSweeping } from './sweeping.ts'

const TIMES = 20
const MOST_MS = 2000

/** An hour's meeting in a room of its own, ten minutes after its begin. Webhooks come over a real socket, or never. */
async function startMeeting(t: Test, webhooks: boolean) {
  const service = await startSweeping(t)
  const { sandbox, clock, app } = service
  const room = sandbox.createRoom({ externalId: 'room 5' })
  const began = clock.now()
  const at = (minutes: number) => new Date(began + minutes * MINUTE).toISOString()
  if (webhooks) {
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const endpoint = `${url}/v1/webhooks/digital-samba`
    sandbox.createWebhook({
      endpoint,
      events: ['session_started', 'session_ended'],
      authorizationHeader: SECRET,
    })
  }
  const tell = async (type: string, data: Fields, as: 'booking' | 'billing' = 'booking') =>
    t.match(answersOf(await post(service, event(type, { roomId: room.id, ...data }), { as })), [
      { status: 'accepted' },
    ])
  await tell('booking.scheduled', { bookingId: 'b-1', startsAt: at(0), endsAt: at(60) })
  const meeting = sandbox.enter(room.id, 'Ada')
  await clock.advance(10 * MINUTE)
  const cancel = async (bookingId = 'b-1', as: 'booking' | 'billing' = 'booking') => {
    await tell('booking.cancelled', { bookingId, startsAt: at(0), endsAt: at(60) }, as)
    await until(() => !meeting.live)
  }
  return { ...service, room, began, at, tell, meeting, cancel }
}

type Meeting = Awaited<ReturnType<typeof startMeeting>>

/** Somebody walks back in. How long (ms of real time) it took until the new session was over. */
async function walkIn({ sandbox, room }: Meeting): Promise<number> {
  const from = performance.now()
  const session = sandbox.enter(room.id, 'Ada')
  await until(() => !session.live)
  return performance.now() - from
}

async function endingsOf({ app }: Meeting, session: Session) {
  const found = await app.ledger.list({ key: `held:${session.id}` }, 10)
  return found.map((row) => ({ ...row, metadata: JSON.parse(row.metadata) }))
}

t.test(
  `participants of a cancelled booking walk back in ${TIMES} times until it would have been over`,
  async (t) => {
    const scene = await startMeeting(t, true)
    const { sandbox, clock, room, began, request, meeting } = scene
    await scene.cancel()
    const [hold] = (await request('GET', '/v1/holds')).json().data
    t.match(hold, { holdFrom: scene.at(10), holdUntil: scene.at(60), requestedBy: 'booking' })
    const took: number[] = []
    for (let i = 1; i <= TIMES; i += 1) {
      await clock.advanceTo(
        Math.min(began + 10 * MINUTE + (i * 50 * MINUTE) / TIMES, began + 60 * MINUTE - 1),
      )
      took.push(await walkIn(scene))
    }
    t.ok(Math.max(...took) < MOST_MS, `each was over within ${Math.ceil(Math.max(...took))} ms`)
    const again = sandbox.sessions.filter(({ id }) => id !== meeting.id)
    t.equal(again.length, TIMES)
    for (const session of again)
      t.match(await endingsOf(scene, session), [
        { reason: 'room_held', requested_by: 'booking', metadata: { hold: hold.id, ending: hold.ending } },
      ])

    await clock.advanceTo(began + 60 * MINUTE)
    await sandbox.settled()
    sandbox.clearCalls()
    const next = sandbox.enter(room.id, 'Grace')
    await sandbox.settled()
    await clock.advance(60 * MINUTE)
    t.equal(next.live, true, 'after that the room is free')
    t.same(
      sandbox.calls.filter(({ session }) => session === next.id),
      [],
      'and nobody even looks at it',
    )
  },
)

t.test('without webhooks each new session is over within one sweep', async (t) => {
  const scene = await startMeeting(t, false)
  const { sandbox, clock, room, began } = scene
  await scene.cancel()
  for (let i = 0; i < TIMES; i += 1) {
    await clock.advance(MINUTE + 7000 * (i % 4))
    const session = sandbox.enter(room.id)
    // Nobody moves the clock any further: what takes a second sweep is never over.
    await clock.advance(SWEEP_MS)
    await until(() => !session.live)
    t.ok((session.endTime ?? Number.NaN) - session.startTime <= SWEEP_MS)
  }
  await clock.advanceTo(began + 60 * MINUTE)
  const next = sandbox.enter(room.id)
  await clock.advance(10 * MINUTE)
  t.equal(next.live, true)
})

t.test('cancelled and booked again by the same sender, the new meeting lives', async (t) => {
  const scene = await startMeeting(t, true)
  const { sandbox, clock, room, tell, at, began } = scene
  await scene.cancel()
  await walkIn(scene)
  await tell('booking.scheduled', { bookingId: 'b-2', startsAt: at(20), endsAt: at(50) })
  await clock.advanceTo(began + 20 * MINUTE)
  const next = sandbox.enter(room.id, 'Grace')
  await sandbox.settled()
  await clock.advanceTo(began + 50 * MINUTE - 1)
  t.equal(next.live, true)
  await clock.advance(1)
  await until(() => !next.live)
  t.equal(next.endTime, began + 50 * MINUTE, 'until its own end')
})

t.test("another sender's hold stays, and so does that of another time", async (t) => {
  const scene = await startMeeting(t, true)
  const { sandbox, clock, room, tell, at, began, request } = scene
  await scene.cancel()
  await scene.cancel('theirs', 'billing')
  await tell('booking.scheduled', { bookingId: 'b-2', startsAt: at(20), endsAt: at(50) })
  await clock.advanceTo(began + 25 * MINUTE)
  t.ok((await walkIn(scene)) < MOST_MS)
  const [hold, ...others] = (await request('GET', '/v1/holds')).json().data
  t.match([hold, ...others], [{ requestedBy: 'billing' }])
  t.equal((await request('DELETE', `/v1/holds/${hold.id}`)).statusCode, 403)
  t.equal((await request('DELETE', `/v1/holds/${hold.id}`, { as: 'billing' })).statusCode, 200)
  const next = sandbox.enter(room.id)
  await sandbox.settled()
  await clock.advance(5 * MINUTE)
  t.equal(next.live, true, 'until its owner opens the room')

  await tell('booking.cancelled', { bookingId: 'later', startsAt: at(120), endsAt: at(180) })
  await tell('booking.scheduled', { bookingId: 'b-3', startsAt: at(180), endsAt: at(240) })
  await tell('booking.scheduled', { bookingId: 'b-4', startsAt: at(60), endsAt: at(120) })
  await clock.advanceTo(began + 60 * MINUTE)
  sandbox.endSession(next.id)
  await clock.advanceTo(began + 121 * MINUTE)
  await until(async () => (await scene.request('GET', '/v1/holds')).json().data.length === 1)
  t.ok((await walkIn(scene)) < MOST_MS, 'what touches a booking does not overlap it')
})
