import t from 'tap'
import { freshUrl } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import {
  count,
  limitOf,
  limitsOf,
  MINUTE,
  SECOND,
  SWEEP_MS,
  setRule,
  startSweeping,
  sweep,
} from './sweeping.ts'

const LIMIT = 50 * MINUTE

t.test('without rules and holds there is no call, ever', async (t) => {
  const service = await startSweeping(t)
  const { sandbox, clock, request } = service
  const room = sandbox.createRoom({ friendlyUrl: 'the-room' })
  const session = sandbox.startSession({ room: room.id })
  await clock.advance(45 * MINUTE)
  t.same(sandbox.calls, [])

  await setRule(service, 'the-room', 300)
  const limit = await limitOf(service, session)
  t.equal((await request('DELETE', '/v1/time-limits/the-room')).statusCode, 200)
  t.match(await service.ending(limit.id), { state: 'cancelled' })
  // A sweep may have been on its way.
  await clock.advance(SWEEP_MS)
  sandbox.clearCalls()
  await clock.advance(45 * MINUTE)
  t.same(sandbox.calls, [], 'nor when the last rule is gone')

  sandbox.createRoom({ friendlyUrl: 'closed' })
  const holdUntil = new Date(clock.now() + 10 * MINUTE).toISOString()
  await request('POST', '/v1/rooms/closed/end', { body: { holdUntil } })
  await sweep(service)
  await clock.advance(10 * MINUTE)
  await clock.advance(SWEEP_MS)
  sandbox.clearCalls()
  await clock.advance(45 * MINUTE)
  t.same(sandbox.calls, [], 'nor when the last hold is over')
  t.equal(session.live, true)
})

for (const named of ['id', 'friendlyUrl', 'externalId'] as const)
  t.test(
    `whatever was missed, the limit counts from the session's own start; the rule names ${named}`,
    async (t) => {
      const databaseUrl = await freshUrl(t, 'sqlite')
      const first = await startSweeping(t, { databaseUrl })
      const { sandbox, clock } = first
      const room = sandbox.createRoom({ externalId: 'their id' })
      const start = () => sandbox.startSession({ room: room.id })
      const beforeRule = start()
      await clock.advance(7 * SECOND)
      await setRule(first, named === 'externalId' ? 'external:their id' : room[named], 50)
      const known = await limitOf(first, beforeRule)
      t.equal(known.due_at, beforeRule.startTime + LIMIT, 'began before the rule was set: found at once')
      t.equal(clock.now(), beforeRule.startTime + 7 * SECOND)

      await clock.advance(11 * SECOND)
      const noWebhook = start()
      await sweep(first)
      t.equal((await limitOf(first, noWebhook)).due_at, noWebhook.startTime + LIMIT, 'no webhook came')

      await first.close()
      const overdue = start()
      await clock.jumpTo(clock.now() + LIMIT + MINUTE)
      const whileDown = start()
      await clock.advance(MINUTE)
      const second = await startSweeping(t, { databaseUrl, sandbox, clock })
      t.equal(
        (await limitOf(second, whileDown)).due_at,
        whileDown.startTime + LIMIT,
        'began while Curfew was down',
      )
      t.match(await limitOf(second, overdue), { due_at: overdue.startTime + LIMIT })
      await until(() => !overdue.live && !beforeRule.live && !noWebhook.live)
      t.equal(overdue.endTime, clock.now(), 'overdue at the start: ended at once')
      t.equal(whileDown.live, true)
      await clock.advanceTo(whileDown.startTime + LIMIT - 1)
      t.equal(whileDown.live, true)
      await clock.advance(1)
      await until(() => !whileDown.live)
      t.equal(whileDown.endTime, whileDown.startTime + LIMIT)
    },
  )

t.test('DEFAULT_TIME_LIMIT is for rooms that no rule names', async (t) => {
  const service = await startSweeping(t, { env: { DEFAULT_TIME_LIMIT: '2h' } })
  const { sandbox, request } = service
  await setRule(service, 'longer', 300)
  const other = sandbox.startSession({ room: sandbox.createRoom().id })
  const ruled = sandbox.startSession({ room: sandbox.createRoom({ friendlyUrl: 'longer' }).id })
  await sweep(service)
  const limit = await limitOf(service, other)
  t.match(limit, { due_at: other.startTime + 120 * MINUTE, requested_by: 'curfew', reason: 'time_limit' })
  t.match(await limitOf(service, ruled), { due_at: ruled.startTime + 300 * MINUTE, requested_by: 'booking' })
  const move = (as: 'booking' | 'ops') =>
    request('PATCH', `/v1/endings/${limit.id}`, { as, body: { extendMinutes: 10 } })
  t.equal((await move('booking')).statusCode, 403)
  t.equal((await move('ops')).statusCode, 200)
})

t.test('of several rules for one room the shortest holds, whoever made it', async (t) => {
  const service = await startSweeping(t)
  const { sandbox, request } = service
  const room = sandbox.createRoom({ friendlyUrl: 'the-room', externalId: 'x' })
  const session = sandbox.startSession({ room: room.id })
  await setRule(service, room.id.toUpperCase(), 60)
  t.match(await limitOf(service, session), {
    due_at: session.startTime + 60 * MINUTE,
    requested_by: 'booking',
  })
  await setRule(service, 'external:x', 40, 'billing')
  await setRule(service, 'the-room', 50)
  const pending = async () => (await limitsOf(service, session)).filter(({ state }) => state === 'pending')
  await sweep(service)
  t.match(await pending(), [{ due_at: session.startTime + 40 * MINUTE, requested_by: 'billing' }])
  await request('DELETE', '/v1/time-limits/external:x', { as: 'billing' })
  await sweep(service)
  t.match(await pending(), [{ due_at: session.startTime + 50 * MINUTE, requested_by: 'booking' }])
  t.equal((await pending()).length, 1)
})

t.test('minutes that somebody was given survive sweeps, restarts and a change of the rule', async (t) => {
  const databaseUrl = await freshUrl(t, 'sqlite')
  const first = await startSweeping(t, { databaseUrl })
  const { sandbox, clock } = first
  await setRule(first, 'the-room', 50)
  const session = sandbox.startSession({ room: sandbox.createRoom({ friendlyUrl: 'the-room' }).id })
  await sweep(first)
  const { id } = await limitOf(first, session)
  await first.request('PATCH', `/v1/endings/${id}`, { body: { extendMinutes: 10 } })
  const dueAfter = async (service: typeof first) =>
    ((await service.app.ledger.find(id))?.due_at ?? 0) - session.startTime
  for (let i = 0; i < 5; i += 1) await sweep(first)
  t.equal(await dueAfter(first), 60 * MINUTE)
  await first.close()
  const second = await startSweeping(t, { databaseUrl, sandbox, clock })
  for (let i = 0; i < 3; i += 1) await sweep(second)
  t.equal(await dueAfter(second), 60 * MINUTE)
  await setRule(second, 'the-room', 30)
  await sweep(second)
  t.equal(await dueAfter(second), 40 * MINUTE, 'they are on top of the new rule')
  await second.request('POST', `/v1/endings/${id}/cancel`)
  for (let i = 0; i < 3; i += 1) await sweep(second)
  t.equal((await limitsOf(second, session)).length, 1, 'and one that was cancelled is not made again')
  t.equal(count(second, 'end'), 0)
})
