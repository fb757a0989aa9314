import t from 'tap'
import type { Fault } from '../../src/sandbox/sandbox.ts'
import { until } from '../helper/service.ts'
import { HOUR, MINUTE, type Scene, SECOND, startScene } from './confirming.ts'

/** An end call that is answered like a good one, and ends nothing. */
const SAYS_ONLY = { kind: 'status', status: 200, operation: 'end' } as const

/** Until the look-up five seconds after its end has seen it live. */
async function seenLive(scene: Scene, id: string): Promise<void> {
  const { clock } = scene
  const { finished_at: over } = await scene.ended(id)
  await clock.advanceTo(Number(over) + 5 * SECOND)
  await scene.when(id, (row) => row.confirm_at === Number(over) + MINUTE)
}

t.test('a session that is still live a minute after a 2xx is ended again', async (t) => {
  const scene = await startScene(t)
  const { clock, sandbox } = scene
  const session = scene.session()
  sandbox.inject({ ...SAYS_ONLY, session })
  // The second call is held back, so that what is pending again can be looked at.
  sandbox.inject({ kind: 'delay', operation: 'end', session, delayMs: SECOND })
  const id = await scene.end(session, { key: 'k' })
  const { finished_at: over } = await scene.ended(id)
  await seenLive(scene, id)
  await clock.advance(54 * SECOND)
  t.equal(scene.lookUps().length, 1, 'not before the minute is over')
  await clock.advance(SECOND)
  await sandbox.waitForCalls(4)
  const { attempts, ...view } = await scene.ending(id)
  t.match(view, {
    state: 'pending',
    outcome: null,
    finishedAt: null,
    confirmedAt: null,
    key: 'k',
    attempt: 1,
  })
  t.match(await scene.row(id), { reopened: 1, confirm_at: null, next_attempt_at: Number(over) + MINUTE })
  t.match(scene.logged('ending.reopened'), [{ level: 40, ending: id, requestedBy: 'booking', reopened: 1 }])
  t.equal(attempts?.length, 1)

  await clock.advance(SECOND)
  await scene.ended(id)
  await clock.advance(5 * SECOND)
  t.match(await scene.confirmed(id), { outcome: 'ended', attempt: 2, key: 'k', reopened: 1 })
  t.same(
    sandbox.calls.map(({ operation }) => operation),
    ['end', 'session', 'session', 'end', 'session'],
  )
  t.equal(sandbox.session(session)?.live, false)
})

t.test('one that is live at first and over within the minute is confirmed', async (t) => {
  const scene = await startScene(t)
  const { clock, sandbox } = scene
  const session = scene.session()
  sandbox.inject({ ...SAYS_ONLY, session })
  const id = await scene.end(session)
  await seenLive(scene, id)
  sandbox.endSession(session)
  await clock.advance(55 * SECOND)
  t.match(await scene.confirmed(id), { outcome: 'ended', attempt: 1, reopened: 0 })
  t.same(scene.logged('ending.reopened'), [])
})

t.test('its key is given up where another pending ending has taken it', async (t) => {
  const scene = await startScene(t)
  const { clock, sandbox, request } = scene
  const session = scene.session()
  sandbox.inject({ ...SAYS_ONLY, session })
  const [id, heldByAnother] = [await scene.end(session, { key: 'k' }), scene.session()]
  await scene.ended(id)
  const dueAt = new Date(clock.now() + HOUR).toISOString()
  const other = await scene.end(heldByAnother, { key: 'k', dueAt })
  const ofSomebodyElse = await scene.end(heldByAnother, { key: 'k', dueAt }, 'billing')
  await seenLive(scene, id)
  await clock.advance(55 * SECOND)
  await scene.when(id, ({ attempt, state }) => attempt === 2 && state === 'ended')
  t.match(await scene.row(id), { key: null, reopened: 1, outcome: 'ended' })
  for (const kept of [other, ofSomebodyElse]) t.match(await scene.row(kept), { key: 'k', state: 'pending' })
  t.equal((await request('POST', `/v1/endings/${other}/cancel`)).statusCode, 200)
})

t.test('after three times it is left as ended and unconfirmed', async (t) => {
  const scene = await startScene(t)
  const { clock, sandbox } = scene
  const session = scene.session()
  sandbox.inject({ ...SAYS_ONLY, session, times: Number.POSITIVE_INFINITY })
  const id = await scene.end(session, { key: 'k' })
  for (let attempt = 1; attempt <= 4; attempt += 1) {
    await scene.when(id, (row) => row.attempt === attempt && row.state === 'ended')
    await seenLive(scene, id)
    await clock.advance(55 * SECOND)
  }
  await scene.when(id, ({ confirm_at: at }) => at === null)
  await until(() => scene.logged('ending.not_confirmed').length > 0)
  t.match(scene.logged('ending.not_confirmed'), [{ level: 50, ending: id, requestedBy: 'booking' }])
  t.match(
    scene.logged('ending.reopened').map(({ reopened }) => reopened),
    [1, 2, 3],
  )
  const calls = sandbox.calls.length
  await clock.advance(HOUR)
  t.match(await scene.ending(id), { state: 'ended', outcome: 'ended', confirmedAt: null, attempt: 4 })
  t.equal(sandbox.calls.length, calls, 'nobody looks again')
  t.equal(sandbox.calls.filter(({ operation }) => operation === 'end').length, 4)
  t.equal(scene.lookUps().length, 8)

  const over = await scene.app.ledger.sessionSeenOver(session)
  t.match(over, [{ id, confirmed_at: clock.now() }], 'but a webhook may still tell')
})

const TROUBLE: Record<
  string,
  { fault: Omit<Fault, 'operation'>; calls?: number; env?: Record<string, string> }
> = {
  'a 500': { fault: { kind: 'status', status: 500 } },
  'a 503, three times': { fault: { kind: 'status', status: 503, times: 3 }, calls: 3 },
  'a 429': { fault: { kind: 'status', status: 429, headers: { 'retry-after': '30' } } },
  'a 403': { fault: { kind: 'status', status: 403 } },
  'no answer in time': { fault: { kind: 'hang', times: 3 }, calls: 3, env: { CALL_TIMEOUT_MS: '500' } },
  'a proxy’s page': { fault: { kind: 'html', status: 200 } },
}

for (const [name, { fault, calls = 1, env }] of Object.entries(TROUBLE))
  t.test(`a look-up that meets ${name} is made again a minute later`, async (t) => {
    const scene = await startScene(t, env ? { env } : {})
    const { clock } = scene
    const id = await scene.end(scene.session())
    const { finished_at: over } = await scene.ended(id)
    scene.sandbox.inject({ ...fault, operation: 'session' })
    await clock.advance(5 * SECOND)
    await scene.when(id, (row) => row.confirm_at === Number(over) + 5 * SECOND + MINUTE)
    t.equal(scene.lookUps().length, calls)
    t.match(await scene.row(id), { state: 'ended', outcome: 'ended', confirmed_at: null, reopened: 0 })
    await clock.advance(MINUTE - 1)
    t.equal(scene.lookUps().length, calls)
    await clock.advance(1)
    t.match(await scene.confirmed(id), { confirmed_at: Number(over) + 5 * SECOND + MINUTE })
    t.equal(scene.lookUps().length, calls + 1)
    t.same(scene.logged('confirmer.trouble'), [])
  })

t.test('what answered 2xx to its end and is unknown now went with its room: it is over', async (t) => {
  const scene = await startScene(t)
  const id = await scene.end(scene.session())
  await scene.ended(id)
  scene.sandbox.inject({ kind: 'status', status: 404, operation: 'session' })
  await scene.clock.advance(5 * SECOND)
  t.match(await scene.confirmed(id), { outcome: 'ended' })
  t.equal(scene.lookUps().length, 1)
})

t.test('a look-up whose credentials are refused is made once they work again', async (t) => {
  const scene = await startScene(t)
  const { app, clock, sandbox } = scene
  const id = await scene.end(scene.session())
  await scene.ended(id)
  sandbox.setCredentials({ developerKey: 'rotated' })
  await clock.advance(5 * SECOND)
  await until(() => app.gate.refused)
  await scene.when(id, ({ confirm_at: at }) => at === clock.now() + MINUTE)
  sandbox.setCredentials({ developerKey: 'sandbox-developer-key' })
  const began = clock.now()
  await scene.when(id, ({ confirmed_at: at }) => {
    void clock.advance(SECOND)
    return at !== null || clock.now() > began + 10 * MINUTE
  })
  t.ok((await scene.row(id)).confirmed_at, 'though nothing is due all the while')
})

t.test('confirmations give way to endings that are due', async (t) => {
  const scene = await startScene(t, { env: { CALLS_PER_MINUTE: '10' } })
  const { clock, sandbox } = scene
  const ids = await Promise.all(Array.from({ length: 5 }, () => scene.end(scene.session())))
  for (const id of ids) await scene.ended(id)
  const dueAt = new Date(clock.now() + 5 * SECOND).toISOString()
  ids.push(...(await Promise.all(Array.from({ length: 25 }, () => scene.end(scene.session(), { dueAt })))))
  const confirmed = async () =>
    (await scene.app.ledger.list({}, 100)).every((row) => row.confirmed_at !== null)
  await until(async () => {
    await clock.advance(SECOND)
    return confirmed()
  })
  const operations = sandbox.calls.map(({ operation }) => operation)
  t.same(operations.slice(0, 30), Array(30).fill('end'), 'all end calls leave before the first look-up')
  t.same(operations.slice(30), Array(30).fill('session'))
})
