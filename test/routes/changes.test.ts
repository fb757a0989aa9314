import { randomUUID } from 'node:crypto'
import t from 'tap'
import { onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { isProblem } from './problems.ts'
import { HOUR, startScene } from './scene.ts'

onEveryEngine(t, 'a pending ending moves, later and earlier', async (t, databaseUrl) => {
  const { ask, request, at, ending, sandbox } = await startScene(t, { databaseUrl })
  const asked = await ask({ key: 'k', metadata: { a: 1 } })
  for (const [to, dueAt] of [
    [at(2 * HOUR), at(2 * HOUR)],
    [at(60_000), at(60_000)],
  ] as const) {
    const answer = await request('PATCH', `/v1/endings/${asked.id}`, { body: { dueAt: to } })
    t.equal(answer.statusCode, 200)
    const { inForce, ...moved } = answer.json()
    t.same(moved, { ...asked, dueAt, nextAttemptAt: dueAt })
    t.same(inForce, { ending: asked.id, dueAt, requestedBy: 'booking', reason: 'requested' })
    const { changes, ...rest } = await ending(asked.id)
    t.same(rest, { ...asked, dueAt, nextAttemptAt: dueAt, attempts: [] })
    t.match(changes?.at(-1), { by: 'booking', change: 'moved', to: { dueAt } })
  }
  t.same(
    sandbox.calls.filter(({ operation }) => operation !== 'session'),
    [],
  )
  const session = sandbox.startSession({ room: sandbox.createRoom().id })
  const { id } = await ask({ target: { session: session.id } })
  const answer = await request('PATCH', `/v1/endings/${id}`, { body: { dueAt: at(-1000) } })
  const moved = { state: 'pending', dueAt: at(-1000), nextAttemptAt: at(0) }
  t.match(answer.json(), moved, 'to the past is at once, and as it was asked')
  await until(async () => (await ending(id)).state === 'ended')
  t.equal(session.live, false)
})

onEveryEngine(t, 'a pending ending is taken back, and its session lives on', async (t, databaseUrl) => {
  const { ask, request, at, ending, sandbox, clock } = await startScene(t, { databaseUrl })
  const session = sandbox.startSession({ room: sandbox.createRoom().id })
  const asked = await ask({ target: { session: session.id }, dueAt: at(1000) })
  const answer = await request('POST', `/v1/endings/${asked.id}/cancel`)
  const cancelled = { ...asked, state: 'cancelled', nextAttemptAt: null, finishedAt: at(0) }
  t.equal(answer.statusCode, 200)
  t.same(answer.json(), cancelled)
  await clock.advance(30_000)
  const { changes, ...rest } = await ending(asked.id)
  t.same(rest, { ...cancelled, attempts: [] })
  t.match(changes, [{ by: 'booking', change: 'cancelled' }])
  t.equal(session.live, true)
  t.same(sandbox.calls, [])
  for (const body of [{}, undefined]) {
    const { id } = await ask()
    const headers = { 'content-type': 'application/json' }
    const again = await request('POST', `/v1/endings/${id}/cancel`, { body, headers })
    t.equal(again.statusCode, 200, 'with an empty body or an empty object')
  }
})

onEveryEngine(t, 'what is over stays as it is', async (t, databaseUrl) => {
  const { finished, request, at, ending } = await startScene(t, { databaseUrl })
  for (const state of ['ended', 'failed', 'cancelled'] as const) {
    const { id } = await finished(state)
    const before = await ending(id)
    t.equal(before.state, state)
    const moved = await request('PATCH', `/v1/endings/${id}`, { body: { dueAt: at(HOUR) } })
    isProblem(t, moved, 409, 'not-pending')
    isProblem(t, await request('POST', `/v1/endings/${id}/cancel`), 409, 'not-pending')
    if (state !== 'failed') isProblem(t, await request('POST', `/v1/endings/${id}/retry`), 409, 'not-failed')
    t.same(await ending(id), before)
  }
})

onEveryEngine(t, 'what is being carried out can neither be moved nor taken back', async (t, databaseUrl) => {
  const { underway, request, at, ending } = await startScene(t, { databaseUrl })
  const { id } = await underway()
  const before = await ending(id)
  const body = { dueAt: at(HOUR) }
  isProblem(t, await request('PATCH', `/v1/endings/${id}`, { body }), 409, 'in-progress')
  isProblem(t, await request('PATCH', `/v1/endings/${id}`, { body, as: 'ops' }), 409, 'in-progress')
  isProblem(t, await request('POST', `/v1/endings/${id}/cancel`), 409, 'in-progress')
  isProblem(t, await request('POST', `/v1/endings/${id}/retry`), 409, 'not-failed')
  t.same(await ending(id), before)
})

onEveryEngine(t, 'a failed ending is tried again at once; what it was due stays', async (t, databaseUrl) => {
  const { ask, request, at, ending, sandbox, clock, finished } = await startScene(t, { databaseUrl })
  const session = randomUUID()
  const asked = await ask({ target: { session }, dueAt: at(1000), key: 'k' })
  await clock.advance(1000)
  await until(async () => (await ending(asked.id)).state === 'failed')
  t.match(await ending(asked.id), { failure: 'session_not_found', attempt: 1, finishedAt: at(1000) })
  sandbox.startSession({ room: sandbox.createRoom().id, id: session })
  await clock.advance(5000)
  const answer = await request('POST', `/v1/endings/${asked.id}/retry`)
  t.equal(answer.statusCode, 200)
  t.match(answer.json(), { ...asked, attempt: 1, nextAttemptAt: at(6000), lastError: { at: at(1000) } })
  await until(async () => (await ending(asked.id)).state === 'ended')
  const { attempts, ...over } = await ending(asked.id)
  t.match(over, { state: 'ended', outcome: 'ended', failure: null, dueAt: at(1000), attempt: 2 })
  t.match(attempts, [
    { attempt: 1, session, result: 'not_found', status: 404 },
    { attempt: 2, session, result: 'ended', status: 200 },
  ])

  const failed = await finished('failed', { key: 'taken' })
  const heir = await ask({ key: 'taken' })
  isProblem(t, await request('POST', `/v1/endings/${failed.id}/retry`), 409, 'key-taken')
  t.equal((await ending(failed.id)).state, 'failed')
  await request('POST', `/v1/endings/${heir.id}/cancel`)
  t.equal((await request('POST', `/v1/endings/${failed.id}/retry`)).statusCode, 200, 'free again')
})

onEveryEngine(t, 'only its own caller and operators change an ending', async (t, databaseUrl) => {
  const { ask, request, at, ending, finished } = await startScene(t, { databaseUrl })
  const { id } = await ask()
  const failed = await finished('failed')
  const changes = [
    ['PATCH', `/v1/endings/${id}`, { dueAt: at(2 * HOUR) }],
    ['POST', `/v1/endings/${id}/cancel`, undefined],
    ['POST', `/v1/endings/${failed.id}/retry`, undefined],
  ] as const
  const before = [await ending(id), await ending(failed.id)]
  for (const [method, url, body] of changes)
    isProblem(t, await request(method, url, { body, as: 'billing' }), 403, 'forbidden')
  t.same([await ending(id), await ending(failed.id)], before)
  for (const [method, url, body] of changes) {
    const answer = await request(method, url, { body, as: 'ops' })
    t.equal(answer.statusCode, 200)
    t.equal(answer.json().requestedBy, 'booking', 'it stays its caller’s')
  }
  for (const as of ['booking', 'billing', 'ops'] as const) {
    t.equal((await request('GET', `/v1/endings/${id}`, { as })).json().state, 'cancelled')
    t.equal((await request('GET', '/v1/endings', { as })).json().data.length, 2, 'reading is free to all')
  }
})
