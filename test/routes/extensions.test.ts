import { randomUUID } from 'node:crypto'
import t from 'tap'
import { onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { isProblem } from './problems.ts'
import { HOUR, startScene } from './scene.ts'

const MINUTE = 60_000
const extend = (extendMinutes: unknown) => ({ body: { extendMinutes } })

onEveryEngine(t, 'ten more minutes are ten more minutes', async (t, databaseUrl) => {
  const { ask, request, at, ending } = await startScene(t, { databaseUrl })
  const asked = await ask({ key: 'k' })
  for (const [minutes, total] of [
    [10, 10],
    [1, 11],
    [1440, 1451],
  ] as const) {
    const answer = await request('PATCH', `/v1/endings/${asked.id}`, extend(minutes))
    t.equal(answer.statusCode, 200)
    const dueAt = at(HOUR + total * MINUTE)
    const inForce = { ending: asked.id, dueAt, requestedBy: 'booking', reason: 'requested' }
    t.same(answer.json(), { ...asked, dueAt, nextAttemptAt: dueAt, inForce })
    t.match(await ending(asked.id), { dueAt })
  }
  const headers = { 'idempotency-key': 'one' }
  for (const replayed of [undefined, 'true']) {
    const answer = await request('PATCH', `/v1/endings/${asked.id}`, { ...extend(9), headers })
    t.equal(answer.headers['idempotency-replayed'], replayed)
    t.match(answer.json(), { dueAt: at(HOUR + 1460 * MINUTE) }, 'once, however often it is sent')
  }
  isProblem(
    t,
    await request('PATCH', `/v1/endings/${asked.id}`, { ...extend(5), as: 'billing' }),
    403,
    'forbidden',
  )
  t.equal((await request('PATCH', `/v1/endings/${asked.id}`, { ...extend(5), as: 'ops' })).statusCode, 200)
})

onEveryEngine(t, 'one that is overdue is put off from now', async (t, databaseUrl) => {
  const { ask, request, at, ending, sandbox, clock, app } = await startScene(t, { databaseUrl })
  const session = sandbox.startSession({ room: sandbox.createRoom().id })
  sandbox.inject({ kind: 'status', status: 500, headers: { 'retry-after': '600' } })
  const { id } = await ask({ target: { session: session.id }, dueAt: at(5000) })
  await clock.advance(5000)
  await until(async () => (await ending(id)).attempt === 1)
  await clock.advance(10_000)
  const answer = await request('PATCH', `/v1/endings/${id}`, extend(10))
  const { dueAt } = answer.json()
  t.equal(Date.parse(dueAt), app.ledger.clock.now() + 10 * MINUTE)
  t.match(await ending(id), { state: 'pending', dueAt, nextAttemptAt: dueAt })
})

onEveryEngine(t, 'it is too late once it is claimed or over', async (t, databaseUrl) => {
  const { request, ending, finished, underway } = await startScene(t, { databaseUrl })
  for (const state of ['ended', 'failed', 'cancelled'] as const) {
    const { id } = await finished(state)
    const before = await ending(id)
    isProblem(t, await request('PATCH', `/v1/endings/${id}`, extend(10)), 409, 'not-pending')
    t.same(await ending(id), before)
  }
  const { id } = await underway()
  isProblem(t, await request('PATCH', `/v1/endings/${id}`, extend(10)), 409, 'in-progress')
  isProblem(t, await request('PATCH', `/v1/endings/${randomUUID()}`, extend(10)), 404, 'not-found')
})

onEveryEngine(t, 'every mistake is named, and moves nothing', async (t, databaseUrl) => {
  const { ask, request, at, ending } = await startScene(t, { databaseUrl })
  const { id } = await ask({ dueAt: at(364 * 24 * HOUR) })
  const before = await ending(id)
  const cases: [body: unknown, pointer: string][] = [
    [{}, '/dueAt'],
    [{ dueAt: at(HOUR), extendMinutes: 10 }, '/dueAt'],
    ...[0, -10, 1441, 0.5, '10', null, [10]].map(
      (minutes) => [{ extendMinutes: minutes }, '/extendMinutes'] as [unknown, string],
    ),
    [{ extendminutes: 10 }, '/extendminutes'],
    [{ extendMinutes: 10, warnMinutes: [1] }, '/warnMinutes'],
  ]
  for (const [body, pointer] of cases)
    await t.test(JSON.stringify(body), async (t) => {
      isProblem(t, await request('PATCH', `/v1/endings/${id}`, { body }), 422, 'invalid', [pointer])
    })
  t.equal((await request('PATCH', `/v1/endings/${id}`, extend(1380))).statusCode, 200)
  const far = await request('PATCH', `/v1/endings/${id}`, extend(1440))
  isProblem(t, far, 422, 'invalid', ['/extendMinutes'])
  t.match(await ending(id), { ...before, dueAt: at(364 * 24 * HOUR + 1380 * MINUTE), nextAttemptAt: /./ })
})

onEveryEngine(t, 'moving mine does not move yours, and the earliest is in force', async (t, databaseUrl) => {
  const { ask, request, at, sandbox, ending, clock } = await startScene(t, { databaseUrl })
  const session = sandbox.startSession({ room: sandbox.createRoom({ friendlyUrl: 'room' }).id })
  const target = { session: session.id }
  const mine = await ask({ target, dueAt: at(HOUR), reason: 'mine' })
  const theirs = await ask({ target, dueAt: at(2 * HOUR), reason: 'theirs' }, { as: 'billing' })
  const move = async (id: string, ms: number, as: 'booking' | 'billing' = 'booking') =>
    (await request('PATCH', `/v1/endings/${id}`, { body: { dueAt: at(ms) }, as })).json().inForce
  const yours = { ending: theirs.id, dueAt: at(2 * HOUR), requestedBy: 'billing', reason: 'theirs' }
  t.match(await move(mine.id, 1.5 * HOUR), { ending: mine.id, dueAt: at(1.5 * HOUR), reason: 'mine' })
  t.same(await move(mine.id, 3 * HOUR), yours)
  t.match(await ending(theirs.id), { dueAt: at(2 * HOUR), state: 'pending' })

  const body = { target: { room: 'room' }, dueAt: at(HOUR), reason: 'room' }
  const room = (await request('POST', '/v1/endings', { body, as: 'ops' })).json()
  t.match(await move(mine.id, 4 * HOUR), { ending: room.id }, 'its room is looked up')
  sandbox.inject({ kind: 'status', status: 500, operation: 'session', times: Number.POSITIVE_INFINITY })
  // What was looked up is remembered for so long.
  await clock.advance(2000)
  t.same(await move(mine.id, 4 * HOUR), yours, 'of which room it is nobody can tell')
  await request('PUT', '/v1/time-limits/room', { body: { maxMinutes: 600 } })
  await until(async () => (await request('GET', '/v1/endings?reason=time_limit')).json().data.length === 1)
  t.match(await move(mine.id, 3 * HOUR), { ending: room.id, requestedBy: 'ops', reason: 'room' })
  await request('POST', `/v1/endings/${room.id}/cancel`, { as: 'ops' })
  t.same(await move(mine.id, 4 * HOUR), yours, 'what is taken back is in force no more')
  t.match(await move(theirs.id, 5 * HOUR, 'billing'), { ending: mine.id, dueAt: at(4 * HOUR) })

  const empty = { target: { room: 'empty' } }
  const first = await ask({ ...empty, dueAt: at(2 * HOUR) })
  const second = await ask(empty, { as: 'billing' })
  t.match(await move(first.id, 3 * HOUR), { ending: second.id }, 'whoever comes into a room that is empty')
})
