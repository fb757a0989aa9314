import t from 'tap'
import type { Scene } from '../routes/scene.ts'
import { event, type Fields, post, statusesOf } from './messages.ts'
import { areRefused, areRefusedInBinary, MAX_TARGETS, type Refusal, ROOM, startRefusing } from './refusals.ts'

const DAY = 24 * 3_600_000
const long = (length: number) => 'x'.repeat(length)
const SESSION = 'edb7a1cb-0627-44ed-9ae4-62a344d6e8a9'
const TARGET = { roomId: ROOM }
const TWO = { roomId: ROOM, sessionId: SESSION }
const THREE = { ...TWO, roomExternalId: 'A-1' }

const NO_OBJECT = [undefined, null, 7, 'text', true, []]
const NO_STRING = [null, 7, true, [], {}]
const NAME = [...NO_STRING, '', long(191), 'a\u0000', 'a\ud800']
const TIME = [...NO_STRING, '', 'soon', '2026-11-23', '2026-11-23T12:00:00', '2026-02-30T12:00:00Z']
/** What each way to name a target must not be. */
const TARGETS: Record<string, unknown[]> = {
  sessionId: [...NO_STRING, '', ROOM, `${SESSION}0`],
  roomId: [...NO_STRING, '', 'ab', long(65), 'a room', 'räume'],
  roomExternalId: [...NO_STRING, '', long(201), 'a\nb'],
}

type Values = Record<string, unknown[]>

/** Refusals of a type: `fine` with one field at a time as it must not be. */
function badFields(type: string, fine: Fields, bad: Values, at = ''): Refusal[] {
  return Object.entries(bad).flatMap(([name, values]) =>
    values.map((value): Refusal => {
      const what = `${type} with ${name} ${JSON.stringify(value).slice(0, 30)}`
      return [what, event(type, { ...fine, [name]: value }), [`/data${at}/${name}`]]
    }),
  )
}

const noObjects = (type: string) =>
  NO_OBJECT.map((data): Refusal => [`${type} ${JSON.stringify(data)}`, event(type, data), ['/data']])

function bookings(scene: Scene, type: string): Refusal[] {
  const booking = { bookingId: 'b', endsAt: scene.at(DAY) }
  const refusal = (what: string, data: Fields, ...pointers: string[]): Refusal => [
    `${type}: ${what}`,
    event(type, data),
    pointers.map((pointer) => `/data${pointer}`),
  ]
  const targets = Object.entries(TARGETS).flatMap(([name, values]) =>
    badFields(type, booking, { [name]: values }),
  )
  return [
    ...noObjects(type),
    ...targets,
    ...badFields(type, { ...booking, ...TARGET }, { bookingId: NAME, endsAt: TIME, startsAt: TIME }),
    ...badFields(type, { ...booking, ...TARGET }, { room: [ROOM], ends_at: ['x'], target: [TARGET] }),
    refusal('no bookingId', { ...TARGET, endsAt: booking.endsAt }, '/bookingId'),
    refusal('two targets', { ...booking, ...TWO }, ''),
    refusal('three targets', { ...booking, ...THREE }, ''),
    refusal('over before it begins', { ...booking, ...TARGET, startsAt: scene.at(DAY + 1) }, '/endsAt'),
    refusal('too far ahead', { ...booking, ...TARGET, endsAt: scene.at(366 * DAY + 1) }, '/endsAt'),
    refusal('two mistakes', { ...booking, ...TWO, endsAt: scene.at(400 * DAY) }, '', '/endsAt'),
    refusal('an id and a time', { ...booking, bookingId: '', startsAt: '' }, '/bookingId', '/startsAt'),
  ]
}

t.test('data of a booking that is wrong is refused where it is wrong', async (t) => {
  const scene = await startRefusing(t)
  const endsAt = scene.at(DAY)
  const more = (type: string): Refusal[] => [
    [`${type} with nothing`, event(type, {}), ['/data/bookingId', '/data/endsAt']],
    [`${type} without an end`, event(type, { bookingId: 'b', ...TARGET }), ['/data/endsAt']],
  ]
  const roomless: Refusal = [
    'scheduled without a target',
    event('booking.scheduled', { bookingId: 'b', endsAt }),
    ['/data'],
  ]
  const refusals = [
    ...bookings(scene, 'booking.scheduled'),
    ...more('booking.scheduled'),
    roomless,
    ...bookings(scene, 'com.example.booking.cancelled'),
    ['nothing is cancelled', event('booking.cancelled', {}), ['/data/bookingId']] satisfies Refusal,
  ]
  await areRefused(t, scene, refusals)
  const rescheduled = [...bookings(scene, 'booking.rescheduled'), ...more('booking.rescheduled')]
  await areRefusedInBinary(t, scene, rescheduled)
})

const TOO_MANY = Array.from({ length: MAX_TARGETS + 1 }, () => TARGET)
const SUSPENSION = { account: 'a', targets: [TARGET] }

function suspensions(): Refusal[] {
  const type = 'billing.suspended'
  const targets = (...list: unknown[]) => ({ account: 'a', targets: list })
  const within = Object.entries(TARGETS).flatMap(([name, values]) =>
    values.map((value): Refusal => {
      const what = `${type} of ${name} ${JSON.stringify(value).slice(0, 30)}`
      return [what, event(type, targets(TARGET, { [name]: value })), [`/data/targets/1/${name}`]]
    }),
  )
  const bad = {
    account: NAME,
    targets: [null, 'x', 7, {}, TARGET, [], TOO_MANY],
    graceSeconds: [null, -1, 1.5, '60', true, [], 90 * 24 * 3600 + 1],
    reason: ['unpaid'],
  }
  return [
    ...noObjects(type),
    ...within,
    ...badFields(type, SUSPENSION, bad),
    [`${type} of nothing`, event(type, {}), ['/data/account', '/data/targets']],
    ...[null, 7, 'x', []].map((one): Refusal => {
      return [`${type} of ${JSON.stringify(one)}`, event(type, targets(TARGET, one)), ['/data/targets/1']]
    }),
    [`${type}: none named`, event(type, targets(TARGET, TARGET, {})), ['/data/targets/2']],
    [
      `${type}: two and three named`,
      event(type, targets(TWO, TARGET, THREE)),
      ['/data/targets/0', '/data/targets/2'],
    ],
    [`${type} of a room`, event(type, targets({ room: ROOM })), ['/data/targets/0/room']],
  ]
}

t.test('data of an account that is wrong is refused where it is wrong', async (t) => {
  const scene = await startRefusing(t)
  await areRefused(t, scene, suspensions())
  await areRefused(t, scene, [
    ...noObjects('billing.resumed'),
    ...badFields('billing.resumed', { account: 'a' }, { account: NAME, targets: [[TARGET]] }),
    ['billing.resumed without an account', event('billing.resumed', {}), ['/data/account']],
  ])
})

t.test('data of a time limit that is wrong is refused where it is wrong', async (t) => {
  const scene = await startRefusing(t)
  const type = 'time_limit.reached'
  const refusals: Refusal[] = [
    ...noObjects(type),
    ...badFields(type, {}, TARGETS),
    ...badFields(type, TARGET, { dueAt: [scene.at(0)], urgent: [true] }),
    ...[{}, TWO, THREE].map((data): Refusal => [JSON.stringify(data), event(type, data), ['/data']]),
  ]
  await areRefused(t, scene, refusals)
  await areRefusedInBinary(t, scene, refusals)
})

t.test('what is just within its bounds is accepted', async (t) => {
  const scene = await startRefusing(t)
  const aYear = new Date(scene.now)
  aYear.setUTCFullYear(aYear.getUTCFullYear() + 1)
  const booking = { bookingId: long(190), endsAt: aYear.toISOString() }
  const most = { account: long(190), targets: TOO_MANY.slice(1), graceSeconds: 90 * 24 * 3600 }
  const fine = [
    event('booking.scheduled', { ...booking, roomExternalId: long(200), startsAt: booking.endsAt }),
    event('booking.rescheduled', { ...booking, roomId: long(64) }),
    event('booking.cancelled', { bookingId: 'Grüße 🎈' }),
    event('booking.cancelled', { ...booking, sessionId: SESSION.toUpperCase() }),
    event('com.example.billing.suspended', most),
    event('a.b-c.D_e.billing.resumed', { account: ' ' }),
    event('time_limit.reached', { roomId: 'abc' }),
  ]
  t.same(statusesOf(await post(scene, fine)), Array(fine.length).fill('accepted'))
})
