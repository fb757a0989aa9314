import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Ending } from '../../src/routes/ending-schemas.ts'
import { onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { tellNoTime } from '../simulation/simulate.ts'
import { isProblem } from './problems.ts'
import { HOUR, type Scene, startScene } from './scene.ts'

const MINUTE = 60_000

/** On PostgreSQL, too, only the test moves the time. */
async function standstill(t: Test, databaseUrl: string, env: Record<string, string> = {}): Promise<Scene> {
  if (!databaseUrl.startsWith('file:')) await tellNoTime(databaseUrl)
  return startScene(t, { databaseUrl, env })
}

function ends({ sandbox }: Scene) {
  return sandbox.calls.filter(({ operation }) => operation === 'end')
}

/** So many endings for sessions that are live, due in a minute. */
async function dueInAMinute(scene: Scene, count: number, as: 'booking' | 'billing' = 'booking') {
  const { sandbox, ask, at } = scene
  const { id: room } = sandbox.createRoom()
  const all: Ending[] = []
  for (let i = 0; i < count; i += 1) {
    const session = sandbox.startSession({ room }).id
    all.push(await ask({ target: { session }, dueAt: at(MINUTE) }, { as }))
  }
  return all
}

const pause = (scene: Scene, body: object, as: 'ops' | 'booking' = 'ops') =>
  scene.inTime(scene.request('POST', '/v1/pause', { body, as }))
const resume = (scene: Scene, body: object, as: 'ops' | 'booking' = 'ops') =>
  scene.inTime(scene.request('POST', '/v1/resume', { body, as }))
const status = async ({ request }: Scene) => (await request('GET', '/status')).json()
const stateOf = async ({ ending }: Scene, all: Ending[]) =>
  Promise.all(all.map(async ({ id }) => (await ending(id)).state))

async function later(scene: Scene, ms: number): Promise<void> {
  await scene.clock.advance(ms)
  for (let i = 0; i < 20; i += 1) await nextTurn()
}

async function allOver(scene: Scene, all: Ending[]): Promise<void> {
  await until(async () => {
    await scene.clock.advance(50)
    return (await stateOf(scene, all)).every((state) => state !== 'pending')
  })
}

onEveryEngine(t, 'while all is paused no call leaves, and all is done after it', async (t, databaseUrl) => {
  const scene = await standstill(t, databaseUrl)
  const before = await dueInAMinute(scene, 30)
  const answer = await pause(scene, { reason: 'a caller has gone mad' })
  t.match(answer.json(), {
    caller: null,
    reason: 'a caller has gone mad',
    pausedBy: 'ops',
    callsOnTheirWay: false,
  })
  await later(scene, 2 * MINUTE)
  const [now] = await dueInAMinute(scene, 1)
  const session = scene.sandbox.startSession({ room: scene.sandbox.createRoom().id }).id
  const atOnce = await scene.ask({ target: { session }, dueAt: scene.at(0), urgent: true })
  await later(scene, MINUTE)
  t.equal(ends(scene).length, 0)
  t.match(await status(scene), {
    accepting: true,
    calls: { state: 'paused', why: 'a caller has gone mad' },
    pauses: [{ caller: null, pausedBy: 'ops' }],
  })
  t.equal((await scene.request('GET', '/readyz')).statusCode, 200)
  t.match((await resume(scene, { missed: 'do' })).json(), { caller: null, cancelled: 0, pauses: [] })
  const all = [...before, now as Ending, atOnce]
  await allOver(scene, all)
  t.equal(ends(scene).length, all.length)
  t.match(await status(scene), { calls: { state: 'ok' }, pauses: [] })
})

onEveryEngine(t, 'what was missed can be taken back', async (t, databaseUrl) => {
  const scene = await standstill(t, databaseUrl)
  const missed = await dueInAMinute(scene, 12)
  const later_ = await scene.ask({ dueAt: scene.at(HOUR) }, { as: 'billing' })
  await pause(scene, { reason: 'a mistake' })
  await later(scene, 2 * MINUTE)
  t.match((await resume(scene, { missed: 'cancel' })).json(), { cancelled: 12 })
  await later(scene, MINUTE)
  t.equal(ends(scene).length, 0)
  t.strictSame(
    await stateOf(scene, missed),
    missed.map(() => 'cancelled'),
  )
  t.match(await scene.ending((missed[0] as Ending).id), { changes: [{ change: 'cancelled', by: 'ops' }] })
  t.match(await scene.ending(later_.id), { state: 'pending' })
})

onEveryEngine(t, "one caller's brake leaves the others alone", async (t, databaseUrl) => {
  const scene = await standstill(t, databaseUrl)
  const mad = await dueInAMinute(scene, 40)
  const sane = await dueInAMinute(scene, 5, 'billing')
  t.match((await pause(scene, { reason: 'mad', caller: 'booking' })).json(), { caller: 'booking' })
  await later(scene, MINUTE)
  await allOver(scene, sane)
  t.equal(ends(scene).length, 5)
  const session = scene.sandbox.startSession({ room: scene.sandbox.createRoom().id }).id
  const atOnce = await scene.ask({ target: { session }, dueAt: scene.at(0) }, { as: 'billing' })
  await allOver(scene, [atOnce])
  await later(scene, 10 * MINUTE)
  t.strictSame(new Set(await stateOf(scene, mad)), new Set(['pending']))
  t.equal(ends(scene).length, 6)
  t.match(await status(scene), { calls: { state: 'ok' }, pauses: [{ caller: 'booking', reason: 'mad' }] })
  await isProblem(t, await resume(scene, { missed: 'do' }), 409, 'not-paused')
  await resume(scene, { caller: 'booking', missed: 'do' })
  await allOver(scene, mad)
  t.equal(ends(scene).length, 46)
})

onEveryEngine(t, 'it answers when the calls that are on their way are over', async (t, databaseUrl) => {
  const scene = await standstill(t, databaseUrl, { CALL_TIMEOUT_MS: '300' })
  const asked = await scene.underway()
  let isAnswered = false
  const answer = scene.request('POST', '/v1/pause', { body: { reason: 'stop' }, as: 'ops' }).then((done) => {
    isAnswered = true
    return done
  })
  for (let i = 0; i < 50; i += 1) await nextTurn()
  t.notOk(isAnswered)
  const { statusCode } = await scene.inTime(answer)
  t.equal(statusCode, 200)
  t.match(await scene.ending(asked.id), { state: 'pending' })
  const { length } = ends(scene)
  await later(scene, HOUR)
  t.equal(ends(scene).length, length)
})

onEveryEngine(t, 'whoever does not hear that it is over finds out', async (t, databaseUrl) => {
  const scene = await standstill(t, databaseUrl)
  const all = await dueInAMinute(scene, 2)
  await pause(scene, { reason: 'stop' })
  await later(scene, 2 * MINUTE)
  await scene.app.database.db.deleteFrom('pauses').execute()
  await until(async () => {
    await scene.clock.advance(1000)
    return (await stateOf(scene, all)).every((state) => state === 'ended')
  })
  t.match(await status(scene), { calls: { state: 'ok' }, pauses: [] })
})

t.test('a brake survives a restart, and its reason can be changed', async (t) => {
  const first = await startScene(t)
  const [asked] = await dueInAMinute(first, 1)
  await pause(first, { reason: 'one' })
  const { since } = (await pause(first, { reason: 'two' })).json()
  await first.close()
  const { databaseUrl, sandbox } = first
  const second = await startScene(t, { databaseUrl, sandbox })
  await later(second, 5 * MINUTE)
  t.match(await status(second), { pauses: [{ reason: 'two', since }], calls: { state: 'paused', since } })
  t.equal(ends(second).length, 0)
  await resume(second, { missed: 'do' })
  await allOver(second, [asked as Ending])
})

t.test('the time of a pause is no time in which something was tried', async (t) => {
  const scene = await startScene(t, { env: { RETRY_FOR: '10m' } })
  const { sandbox, clock, ask, at } = scene
  const session = sandbox.startSession({ room: sandbox.createRoom().id }).id
  sandbox.inject({ kind: 'status', status: 500, times: 3, session })
  const asked = await ask({ target: { session }, dueAt: at(0) })
  await until(async () => (await scene.ending(asked.id)).attempt > 0)
  await pause(scene, { reason: 'an hour' })
  await later(scene, HOUR)
  await resume(scene, { missed: 'do' })
  await until(async () => {
    await clock.advance(1000)
    return (await scene.ending(asked.id)).state === 'ended'
  })
  t.pass('it has not given up')
})

t.test('who may pause, and what has to be said', async (t) => {
  const scene = await startScene(t)
  for (const path of ['/v1/pause', '/v1/resume']) {
    const body = path === '/v1/pause' ? { reason: 'x' } : { missed: 'do' }
    await isProblem(t, await scene.request('POST', path, { body, as: 'booking' }), 403, 'forbidden')
    await isProblem(t, await scene.request('POST', path, { body, as: null }), 401, 'unauthorized')
  }
  for (const [path, body, pointer] of [
    ['/v1/pause', {}, '/reason'],
    ['/v1/pause', { reason: '' }, '/reason'],
    ['/v1/pause', { reason: 'x', caller: 'bokking' }, '/caller'],
    ['/v1/pause', { reason: 'x', for: 'booking' }, '/for'],
    ['/v1/resume', {}, '/missed'],
    ['/v1/resume', { missed: 'skip' }, '/missed'],
  ] as const) {
    const answer = await scene.request('POST', path, { body, as: 'ops' })
    t.match(answer.json(), { status: 422, errors: [{ pointer }] }, `${path} ${JSON.stringify(body)}`)
  }
  await isProblem(t, await resume(scene, { missed: 'cancel' }), 409, 'not-paused')
  t.strictSame((await status(scene)).pauses, [])
})

t.test('a rehearsal says that it would end nothing now', async (t) => {
  const scene = await startScene(t)
  const session = scene.sandbox.startSession({ room: scene.sandbox.createRoom().id }).id
  const rehearse = async (as: 'booking' | 'billing') =>
    (await scene.request('POST', `/v1/sessions/${session}/end?dryRun=true`, { as })).json()
  await pause(scene, { reason: 'mad', caller: 'booking' })
  t.match(await rehearse('booking'), { wouldEnd: null, wouldEndWhy: /booking.*paused/ })
  t.match(await rehearse('billing'), { wouldEnd: [session] })
  await pause(scene, { reason: 'stop' })
  t.match(await rehearse('billing'), { wouldEnd: null, wouldEndWhy: 'all calls are paused: stop' })
})

t.test('nobody is warned of what is paused', async (t) => {
  const scene = await startScene(t)
  const { sandbox, ask, at } = scene
  const session = sandbox.startSession({ room: sandbox.createRoom().id }).id
  await ask({ target: { session }, dueAt: at(5 * MINUTE), warnMinutes: [2] })
  await pause(scene, { reason: 'mad', caller: 'booking' })
  await later(scene, 4 * MINUTE)
  t.strictSame(sandbox.calls, [])
})
