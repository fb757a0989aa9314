import t, { type Test } from 'tap'
import type { Ending } from '../../src/routes/ending-schemas.ts'
import type { HoldView } from '../../src/routes/limit-schemas.ts'
import { freshUrl, onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { HOUR, type Scene, startScene } from '../routes/scene.ts'
import { answersOf, event, type Fields, post } from './messages.ts'

type Sender = 'booking' | 'billing'
/** What is being carried out can be changed by no event; on a clock that stands still it would wait for ever. */
async function settled({ app }: Scene): Promise<boolean> {
  const pending = await app.ledger.list({ state: 'pending' }, 200)
  return !(await app.ledger.firstDue()) && pending.every(({ claimed_until }) => claimed_until === null)
}

/** Tells events, and the holds that they leave: room, from and until in hours from now, and why. */
async function startHolds(t: Test, databaseUrl: string, env: Record<string, string> = {}) {
  const scene = await startScene(t, { databaseUrl, env })
  const tell = async (type: string, data: Fields, as: Sender = 'booking') => {
    const [answer] = answersOf(await post(scene, event(type, data), { as }))
    await until(() => settled(scene))
    return answer?.endings ?? []
  }
  const list = async (): Promise<HoldView[]> => (await scene.request('GET', '/v1/holds')).json().data
  const hours = (time: string | null) =>
    time && Math.round(((Date.parse(time) - scene.now) / HOUR) * 100) / 100
  const holds = async () =>
    (await list())
      .map(({ target, holdFrom, holdUntil, reason }) => [
        target.room ?? target.roomExternalId,
        hours(holdFrom),
        hours(holdUntil),
        reason,
      ])
      .reverse()
  /** A booking's times, in hours from now. */
  const times = (startsAt: number, endsAt: number) => ({
    startsAt: scene.at(startsAt * HOUR),
    endsAt: scene.at(endsAt * HOUR),
  })
  return { ...scene, tell, list, holds, times }
}

onEveryEngine(
  t,
  'a cancelled booking keeps its room closed for as long as it would have lasted',
  async (t, url) => {
    const { tell, holds, list, times, at, ending } = await startHolds(t, url)
    const cancel = (bookingId: string, data: Fields) => tell('booking.cancelled', { bookingId, ...data })
    await cancel('to come', { roomId: 'room-1', ...times(1, 2) })
    const [begun] = await cancel('begun', { roomExternalId: 'room 2', ...times(-1, 2) })
    const [open] = await cancel('begun, who knows when', { roomId: 'room-3', endsAt: at(3 * HOUR) })
    await cancel('over', { roomId: 'room-4', ...times(-2, -1) })
    await cancel('no end, to come', { roomId: 'room-5', startsAt: at(HOUR) })
    await cancel('no times', { roomId: 'room-6' })
    await cancel('a session', { sessionId: 'edb7a1cb-0627-44ed-9ae4-62a344d6e8a9', ...times(-1, 2) })
    await cancel('a session to come', { sessionId: 'edb7a1cb-0627-44ed-9ae4-62a344d6e8a9', ...times(1, 2) })
    await cancel('no room', times(1, 2))
    await cancel('as short as can be', { roomId: 'room-7', ...times(1, 1) })
    t.same(await holds(), [
      ['room-1', 1, 2, 'booking_cancelled'],
      ['room 2', 0, 2, 'booking_cancelled'],
      ['room-3', 0, 3, 'booking_cancelled'],
      ['room-7', 1, 1, 'booking_cancelled'],
    ])
    t.same((await list()).map((hold) => hold.ending).reverse(), [null, begun, open, null])
    t.match(await ending(begun as string), { holdUntil: at(2 * HOUR), requestedBy: 'booking' })

    const scheduled = await tell('booking.scheduled', { bookingId: 'told', roomId: 'room-8', ...times(1, 2) })
    t.same(await cancel('told', {}), scheduled, 'what was told before is remembered')
    t.same((await holds()).slice(4), [['room-8', 1, 2, 'booking_cancelled']])
  },
)

onEveryEngine(t, 'a booking that is on again opens its room', async (t, url) => {
  const { tell, holds, times, ending } = await startHolds(t, url)
  for (const [id, from] of [
    ['to come', 1],
    ['begun', -1],
  ] as const) {
    const data = { bookingId: id, roomId: `room-${from}`, ...times(from, 4) }
    await tell('booking.scheduled', data)
    await tell('booking.cancelled', { bookingId: id })
    t.same((await holds()).length, 1, id)
    await tell('booking.cancelled', { bookingId: id })
    t.same((await holds()).length, 1, 'said twice, one hold')
    const [again] = await tell('booking.rescheduled', { ...data, ...times(from, 5) })
    t.same(await holds(), [])
    t.match(await ending(again as string), { state: 'pending', reason: 'booking_over' })
    await tell('booking.cancelled', { bookingId: id })
    t.match(await holds(), [[`room-${from}`, Math.max(from, 0), 5]])
    await tell('booking.rescheduled', { ...data, roomId: 'elsewhere' })
    t.same(await holds(), [])
  }
})

onEveryEngine(
  t,
  'a booking counts for as long as its ending waits, wherever it was moved',
  async (t, url) => {
    const { tell, holds, times, request } = await startHolds(t, url)
    const cases = [
      ['as it was told', undefined, ['room-0']],
      ['extended into the other', 40, []],
      ['taken back', 'cancel', ['room-2']],
    ] as const
    for (const [i, [what, change, closed]] of cases.entries()) {
      const room = { roomId: `room-${i}` }
      const span = change === 'cancel' ? times(-1, 3) : times(-1, 0.5)
      const [first] = await tell('booking.scheduled', { bookingId: `first ${i}`, ...room, ...span })
      if (change === 'cancel') await request('POST', `/v1/endings/${first}/cancel`)
      else if (change) await request('PATCH', `/v1/endings/${first}`, { body: { extendMinutes: change } })
      await tell('booking.cancelled', { bookingId: `second ${i}`, ...room, ...times(1, 2) })
      t.same(
        (await holds()).flatMap(([name]) => (name === room.roomId ? [name] : [])),
        closed,
        what,
      )
    }
  },
)

type Rebooking = [what: string, data: Fields, as: Sender, lifts: boolean]

onEveryEngine(t, 'cancelled and booked again, the room is open for the new meeting', async (t, url) => {
  const { tell, holds, times, at, request, list } = await startHolds(t, url)
  const room = { roomId: 'room' }
  const cases: Rebooking[] = [
    ['the same time', { ...room, ...times(2, 4) }, 'booking', true],
    ['its beginning', { ...room, ...times(1, 2.1) }, 'booking', true],
    ['its end', { ...room, ...times(3.9, 5) }, 'booking', true],
    ['a part of it', { ...room, ...times(2.5, 3) }, 'booking', true],
    ['more than it', { ...room, ...times(1, 5) }, 'booking', true],
    ['from now on', { ...room, endsAt: at(3 * HOUR) }, 'booking', true],
    ['just before it', { ...room, ...times(1, 2) }, 'booking', false],
    ['just after it', { ...room, ...times(4, 5) }, 'booking', false],
    ['another room', { roomId: 'other', ...times(2, 4) }, 'booking', false],
    ['another kind of name', { roomExternalId: 'room', ...times(2, 4) }, 'booking', false],
    ['somebody else', { ...room, ...times(2, 4) }, 'billing', false],
  ]
  for (const [i, [what, data, as, lifts]] of cases.entries()) {
    // Each in a room of its own, since what is booked already counts as well.
    const mine = { roomId: `room-${i}` }
    const where = data.roomId === 'room' ? mine : {}
    await tell('booking.cancelled', { bookingId: `old ${i}`, ...mine, ...times(2, 4) })
    await tell('booking.scheduled', { bookingId: `new ${i}`, ...data, ...where }, as)
    t.same((await holds()).length, lifts ? 0 : 1, what)
    for (const { id } of await list()) await request('DELETE', `/v1/holds/${id}`)
    await tell('booking.cancelled', { bookingId: `later ${i}`, ...mine, ...times(2, 4) })
    t.same((await holds()).length, lifts ? 0 : 1, `booked before it is cancelled: ${what}`)
    for (const { id } of await list()) await request('DELETE', `/v1/holds/${id}`)
  }
  const closing = { target: { room: 'room' }, dueAt: at(2 * HOUR), holdUntil: at(4 * HOUR) }
  await request('POST', '/v1/endings', { body: closing })
  await tell('billing.suspended', { account: 'a', targets: [room] })
  await tell('booking.scheduled', { bookingId: 'last', ...room, ...times(2, 4) })
  t.equal((await holds()).length, 2, 'what is no booking’s stays')
})

onEveryEngine(t, 'a suspended account’s rooms are closed until it is resumed', async (t, url) => {
  const { tell, holds, list, ending } = await startHolds(t, url)
  const targets = [
    { roomId: 'room' },
    { roomExternalId: 'Raum ü' },
    { sessionId: 'edb7a1cb-0627-44ed-9ae4-62a344d6e8a9' },
  ]
  const suspend = (account: string, more: Fields = {}) =>
    tell('billing.suspended', { account, targets, ...more }, 'billing')
  const ids = await suspend('a', { graceSeconds: 1800 })
  const both = [
    ['room', 0.5, null, 'billing_suspended'],
    ['Raum ü', 0.5, null, 'billing_suspended'],
  ]
  t.same(await holds(), both)
  t.same((await list()).map((hold) => hold.ending).reverse(), ids.slice(0, 2))
  t.match(await ending(ids[0] as string), { holdUntil: null })
  await suspend('b', { targets: [{ roomId: 'room' }], graceSeconds: 3600 })
  await suspend('a', { graceSeconds: 1800 })
  t.same(await holds(), [['room', 1, null, 'billing_suspended'], ...both], 'anew, and not twice')
  await tell('billing.resumed', { account: 'a' }, 'booking')
  t.equal((await holds()).length, 3, 'another sender’s account')
  await tell('billing.resumed', { account: 'a' }, 'billing')
  t.same(await holds(), [['room', 1, null, 'billing_suspended']])
  await tell('billing.resumed', { account: 'b' }, 'billing')
  t.same(await holds(), [])
})

t.test('a suspension outlives the ledger’s memory of what it ended', async (t) => {
  const { DAY, ...scene } = {
    DAY: 24 * HOUR,
    ...(await startHolds(t, await freshUrl(t, 'sqlite'), { RETENTION_DAYS: '1' })),
  }
  const { tell, holds, request, sandbox, clock, app, ending } = scene
  const room = sandbox.createRoom().id
  const first = sandbox.startSession({ room })
  const [id, other] = await tell('billing.suspended', {
    account: 'a',
    targets: [{ roomId: room }, { roomId: 'some-room' }],
  })
  await until(() => !first.live)
  await until(async () => (await app.ledger.backlog()).pending === 0)
  const unheld = (await request('POST', `/v1/sessions/${first.id}/end`)).json().id
  await until(async () => (await ending(unheld)).state === 'ended')
  const hold = (await scene.list()).find(({ ending }) => ending === other)
  await request('DELETE', `/v1/holds/${hold?.id}`)
  await clock.jumpTo(clock.now() + 3 * DAY)
  await until(async () => (await request('GET', `/v1/endings/${unheld}`)).statusCode === 404)
  await until(async () => (await request('GET', `/v1/endings/${other}`)).statusCode === 404)
  t.match(await ending(id as string), { state: 'ended', subject: 'account:a' })
  t.equal((await holds()).length, 1)
  const again = sandbox.startSession({ room })
  app.notices.sessionStarted({ session: again.id, room })
  await until(() => !again.live)
  const [held] = (await request('GET', `/v1/endings?session=${again.id}`)).json().data as Ending[]
  t.match(held, { reason: 'room_held', metadata: { ending: id } })
  await tell('billing.resumed', { account: 'a' })
  t.same(await holds(), [])
})
