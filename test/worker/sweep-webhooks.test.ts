import t from 'tap'
import { until } from '../helper/service.ts'
import {
  count,
  limitOf,
  limitsOf,
  MINUTE,
  SECOND,
  type Sweeping,
  setRule,
  startSweeping,
  sweep,
  tellStarted,
} from './sweeping.ts'

/** Two rooms, what each is called, and the sessions that were looked up because a webhook told of them. */
async function twoRooms(service: Sweeping) {
  const { sandbox, clock } = service
  const told = sandbox.createRoom({ friendlyUrl: 'told-of', externalId: 'its id' })
  const other = sandbox.createRoom({ friendlyUrl: 'other' })
  const hold = async (path: string) => {
    const body = { holdUntil: new Date(clock.now() + 10 * MINUTE).toISOString() }
    await service.request('POST', path, { body })
    await sweep(service)
  }
  const lookedUp = () =>
    sandbox.calls.filter(({ operation }) => operation === 'session').map((call) => call.session)
  return { told, other, hold, lookedUp }
}

type Rooms = Awaited<ReturnType<typeof twoRooms>>
type Prepare = (service: Sweeping, rooms: Rooms) => Promise<unknown>

const CASES: [name: string, lookUps: 0 | 1, prepare: Prepare, env?: Record<string, string>][] = [
  ['a rule for the UUID of another room', 0, (service, { other }) => setRule(service, other.id, 50)],
  ['a hold for the UUID of another room', 0, (_, { other, hold }) => hold(`/v1/rooms/${other.id}/end`)],
  ['a rule for its UUID', 1, (service, { told }) => setRule(service, told.id.toUpperCase(), 50)],
  ['a rule for some friendly URL', 1, (service) => setRule(service, 'other', 50)],
  ['a rule for some external id', 1, (service) => setRule(service, 'external:whose', 50)],
  ['the default', 1, async () => undefined, { DEFAULT_TIME_LIMIT: '1h' }],
  ['a hold for its UUID', 1, (_, { told, hold }) => hold(`/v1/rooms/${told.id}/end`)],
  ['a hold for some friendly URL', 1, (_, { hold }) => hold('/v1/rooms/other/end')],
]

for (const [name, lookUps, prepare, env = {}] of CASES)
  t.test(`a webhook tells of a session, and there is ${name}: ${lookUps} look-ups`, async (t) => {
    const service = await startSweeping(t, { env })
    const { sandbox } = service
    const rooms = await twoRooms(service)
    await prepare(service, rooms)
    await sandbox.settled()
    await until(async () => (await service.app.ledger.backlog()).overdue === 0)
    const session = sandbox.startSession({ room: rooms.told.id })
    t.equal((await tellStarted(service, session)).statusCode, 204)
    // Whoever asks next is behind it.
    const marker = sandbox.startSession({ room: rooms.told.id })
    if (lookUps === 0) await setRule(service, rooms.told.id, 50)
    await tellStarted(service, marker)
    await until(() => rooms.lookedUp().length > lookUps)
    t.same(new Set(rooms.lookedUp()), new Set(lookUps === 0 ? [marker.id] : [session.id, marker.id]))
  })

t.test('webhooks repeated, in both spellings and after the end, make one ending', async (t) => {
  const service = await startSweeping(t)
  const { sandbox, clock, app } = service
  const room = sandbox.createRoom()
  await setRule(service, room.id, 50)
  await sandbox.waitForCalls(1)
  const session = sandbox.startSession({ room: room.id })
  await clock.advance(3 * SECOND)
  await Promise.all(Array.from({ length: 10 }, () => tellStarted(service, session)))
  await until(() => count(service, 'session') === 10)
  t.match(await limitOf(service, session), { due_at: session.startTime + 50 * MINUTE })
  const newer = { event: 'session_started', session_id: session.id.toUpperCase(), room_id: room.id }
  await app.inject({
    method: 'POST',
    url: '/v1/webhooks/digital-samba',
    headers: { authorization: 'a-secret-of-webhooks' },
    payload: newer,
  })
  await until(() => count(service, 'session') === 11)
  await sweep(service)
  await clock.advanceTo(session.startTime + 50 * MINUTE)
  await until(() => !session.live)
  for (let i = 0; i < 5; i += 1) await tellStarted(service, session)
  await sweep(service)
  const limits = await limitsOf(service, session)
  t.match(limits, [{ state: 'ended', outcome: 'ended' }])
  t.equal(limits.length, 1)
  t.equal(count(service, 'end'), 1)
})

for (const fault of [
  { kind: 'status', status: 500 },
  { kind: 'status', status: 404 },
  { kind: 'not-json' },
  { kind: 'status', status: 200, body: { session_live: true, session_start_time: 'just now' } },
  { kind: 'status', status: 200, body: { session_live: 'yes' } },
] as const)
  t.test(`a look-up that meets ${JSON.stringify(fault)} is made good by the sweep`, async (t) => {
    const service = await startSweeping(t)
    const { sandbox, clock } = service
    const room = sandbox.createRoom()
    await setRule(service, room.id, 50)
    await sandbox.waitForCalls(1)
    await clock.advance(10 * SECOND)
    const session = sandbox.startSession({ room: room.id })
    sandbox.inject({ ...fault, operation: 'session' })
    await tellStarted(service, session)
    await sandbox.waitForCalls(() => count(service, 'session') === 1)
    t.same(await limitsOf(service, session), [])
    await sweep(service)
    t.match(await limitOf(service, session), { due_at: session.startTime + 50 * MINUTE })
    t.equal(count(service, 'session'), 1)
  })

t.test(
  'a webhook that does not say which room it was is looked up where there is any rule or hold',
  async (t) => {
    const service = await startSweeping(t)
    const { sandbox, app, clock, request } = service
    const room = sandbox.createRoom()
    const holdUntil = new Date(clock.now() + 10 * MINUTE).toISOString()
    await request('POST', `/v1/rooms/${room.id}/end`, { body: { holdUntil } })
    await until(async () => (await app.ledger.backlog()).pending === 0)
    const session = sandbox.startSession({ room: room.id })
    await app.inject({
      method: 'POST',
      url: '/v1/webhooks/digital-samba',
      headers: { authorization: 'a-secret-of-webhooks' },
      payload: { eventType: 'session_started', sessionId: session.id },
    })
    await until(() => !session.live)
    t.equal(session.endTime, session.startTime)
  },
)
