import t from 'tap'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import { freshUrl } from '../helper/engines.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { type Service, startService, until } from '../helper/service.ts'

/** Asks for the end of `count` live sessions of a room each. */
async function endSessions(
  { sandbox, request }: Service,
  count: number,
  body: object = {},
): Promise<string[]> {
  const ids: string[] = []
  for (let i = 0; i < count; i += 1) {
    const session = sandbox.startSession({ room: sandbox.createRoom({}).id })
    const answer = await request('POST', `/v1/sessions/${session.id}/end`, { body })
    ids.push(answer.json().id)
  }
  return ids
}

const isOver = async ({ app }: Service) => (await app.ledger.backlog()).pending === 0
const callTimes = (sandbox: Sandbox) => sandbox.calls.map(({ at, status }) => [at, status])

for (const retryAfterAs of ['seconds', 'date'] as const)
  t.test(
    `after a 429 with retry-after in ${retryAfterAs}, no call of any kind leaves, also across a restart`,
    async (t) => {
      const clock = new ManualClock('2026-11-23T12:00:00Z')
      const began = clock.now()
      const databaseUrl = await freshUrl(t, 'sqlite')
      const env = { MAX_CONCURRENT_CALLS: '1' }
      const first = await startService(t, { clock, databaseUrl, env })
      const { sandbox } = first
      sandbox.configure({ retryAfterAs, callsPerMinute: 1 })
      await endSessions(first, 2)
      await first.request('POST', '/v1/rooms/some-room/end')
      await sandbox.waitForCalls(2)
      t.same(callTimes(sandbox), [
        [began, 200],
        [began, 429],
      ])
      await until(async () => (await first.app.ledger.control()).length === 1)
      t.match((await first.request('GET', '/status')).json(), {
        calls: { state: 'rate_limited' },
        pending: 2,
      })

      await clock.advance(30_000)
      await first.close()
      sandbox.configure({ callsPerMinute: 1000 })
      const second = await startService(t, { clock, databaseUrl, env, sandbox })
      await second.request('POST', '/v1/rooms/other-room/end', { body: { urgent: true } })
      t.match((await second.request('GET', '/status')).json(), {
        accepting: true,
        calls: { state: 'rate_limited' },
      })
      await clock.advance(29_999)
      t.equal(sandbox.calls.length, 2)
      await clock.advance(1)
      await until(() => isOver(second))
      const later = sandbox.calls.slice(2)
      t.ok(
        later.length >= 3 && later.every(({ at }) => at >= began + 60_000),
        'all later calls were made when it had passed',
      )
      t.match((await second.request('GET', '/status')).json(), { calls: { state: 'ok' } })
    },
  )

t.test(
  'refused credentials are nobody’s fault: one probe a minute, and all is done once they work again',
  async (t) => {
    const clock = new ManualClock()
    const service = await startService(t, { clock })
    const { sandbox, request } = service
    sandbox.setCredentials({ developerKey: 'rotated' })
    const ids = await endSessions(service, 300)
    await until(() => service.app.gate.refused && sandbox.calls.length > 0)
    await until(async () => (await service.app.ledger.claim(0, 0)) && (await unclaimed(service)) === 300)
    const atFirst = sandbox.calls.length
    t.ok(atFirst <= 10, `${atFirst} calls were on their way when the first was refused`)
    t.match((await request('GET', '/status')).json(), {
      accepting: true,
      calls: { state: 'refused' },
      pending: 300,
    })

    for (let minute = 1; minute <= 5; minute += 1) {
      await clock.advance(60_000)
      await sandbox.waitForCalls(atFirst + minute)
      await until(async () => (await unclaimed(service)) === 300)
      await clock.advance(0)
      t.equal(sandbox.calls.length, atFirst + minute, `minute ${minute}: one call`)
    }
    const [late] = await endSessions(service, 1)
    t.match(await service.ending(late as string), { state: 'pending', attempt: 0 }, 'new ones are accepted')

    sandbox.setCredentials({ developerKey: 'sandbox-developer-key' })
    await clock.advance(60_000)
    await until(() => isOver(service))
    for (const id of [...ids, late as string])
      if ((await service.ending(id)).attempt !== 1) return t.fail('a refusal was counted as an attempt')
    t.same(sandbox.liveSessions(), [])
    t.match((await request('GET', '/status')).json(), { calls: { state: 'ok' }, pending: 0 })
  },
)

/** How many pending endings nobody holds. */
async function unclaimed({ app }: Service): Promise<number> {
  const rows = await app.ledger.list({ state: 'pending' }, 1000)
  return rows.filter((row) => row.claimed_until === null).length
}

t.test('the next meeting in the room is not touched by an ending that an outage delayed', async (t) => {
  const clock = new ManualClock('2026-11-23T14:00:00Z')
  const service = await startService(t, { clock, env: { RETRY_FOR: '1h' } })
  const { sandbox, request, app } = service
  const room = sandbox.createRoom({ friendlyUrl: 'the-room', externalId: 'the-id' })
  const meeting = sandbox.startSession({ room: room.id })
  const body = { dueAt: '2026-11-23T15:00:00Z' }
  const kept: string = (await request('POST', '/v1/rooms/the-room/end', { body })).json().id
  const other = { target: { roomExternalId: 'the-id' }, dueAt: '2026-11-23T15:50:00Z' }
  const patient: string = (await request('POST', '/v1/endings', { body: other })).json().id

  sandbox.inject({
    kind: 'status',
    status: 500,
    headers: { 'retry-after': '300' },
    times: Number.POSITIVE_INFINITY,
  })
  const tried = async () =>
    !(await app.ledger.firstDue()) && (await unclaimed(service)) === (await app.ledger.backlog()).pending
  // While calls fail one a second asks, and what is due waits for its turn.
  const asksAt = () => app.gate.status().until ?? clock.now()
  const pass = async (to: string) => {
    while (clock.now() < Date.parse(to)) {
      await until(async () => (await tried()) || asksAt() > clock.now())
      const next = (await tried()) ? await app.ledger.nextAttemptAt() : asksAt()
      await clock.advanceTo(Math.min(next ?? Number.MAX_VALUE, Date.parse(to)))
    }
    await until(async () => (await tried()) || asksAt() > clock.now())
  }
  await pass('2026-11-23T16:29:00Z')
  sandbox.endSession(meeting.id)
  await pass('2026-11-23T16:30:00Z')
  const next = sandbox.startSession({ room: room.id })
  t.match(await service.ending(kept), { state: 'failed', failure: 'gave_up' })
  t.match(await service.ending(patient), { state: 'pending' })
  await pass('2026-11-23T16:40:00Z')

  sandbox.clearFaults()
  t.equal((await request('POST', `/v1/endings/${kept}/retry`)).statusCode, 200)
  await clock.advance(600_000)
  await until(() => isOver(service))
  t.match(await service.ending(kept), {
    state: 'ended',
    outcome: 'nothing_live',
    dueAt: '2026-11-23T15:00:00.000Z',
  })
  t.match(await service.ending(patient), { state: 'ended', outcome: 'nothing_live' })
  t.equal(next.live, true)
  t.same(
    sandbox.calls.filter(({ operation }) => operation === 'end'),
    [],
    'not one end call',
  )
})
