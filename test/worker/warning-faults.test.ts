import t from 'tap'
import type { Fault } from '../../src/sandbox/sandbox.ts'
import { until } from '../helper/service.ts'
import { at, begun, MINUTE, NOON, type Scene, startScene } from './warning-scene.ts'

const calls = ({ sandbox }: Scene, operation: string) =>
  sandbox.calls.filter((call) => call.operation === operation)
const endTimes = (scene: Scene) => calls(scene, 'end').map((call) => (call.at - NOON) / MINUTE)

const FAULTS: [name: string, fault: Omit<Fault, 'operation'>, result: string][] = [
  ['a 404', { kind: 'status', status: 404 }, 'nobody_there'],
  ['a 400', { kind: 'status', status: 400 }, 'failed'],
  ['a 422', { kind: 'status', status: 422 }, 'failed'],
  ['a 500', { kind: 'status', status: 500 }, 'failed'],
  ['a 503', { kind: 'status', status: 503 }, 'failed'],
  ['a 500 after it was written', { kind: 'status', status: 500, carryOut: true }, 'failed'],
  ['a reset', { kind: 'reset' }, 'failed'],
  ['a reset after it was written', { kind: 'reset', carryOut: true }, 'failed'],
  ['half an answer', { kind: 'truncate' }, 'failed'],
  ['a redirect', { kind: 'redirect' }, 'failed'],
  ['no answer in time', { kind: 'hang' }, 'failed'],
]

for (const [name, fault, result] of FAULTS)
  t.test(`a chat that answers ${name} is not asked again, and holds up no end`, async (t) => {
    const scene = await startScene(t, { env: { CALL_TIMEOUT_MS: '150' } })
    const { live, ask, pass, sandbox, warnings } = scene
    const session = live({ friendlyUrl: 'room' })
    const id = await ask(session, { dueAt: at(20), warnMinutes: [10, 2] })
    sandbox.inject({ ...fault, operation: 'chat' })
    await pass(10)
    t.same(await warnings(id), [[10, 10, result]])
    t.equal((await scene.ending(id)).warnings?.[0]?.sentAt, null)
    await pass(21)
    t.same(
      calls(scene, 'chat').map((call) => (call.at - NOON) / MINUTE),
      [10, 18],
    )
    t.same(await warnings(id), [
      [10, 10, result],
      [2, 2, 'sent'],
    ])
    t.same(endTimes(scene), [20])
  })

t.test('an end leaves in its time though chats hang, more of them than there are slots for', async (t) => {
  const scene = await startScene(t, { env: { MAX_CONCURRENT_CALLS: '1' } })
  const { live, ask, sandbox, clock, app } = scene
  sandbox.inject({ kind: 'hang', operation: 'chat', times: Number.POSITIVE_INFINITY })
  const sessions = Array.from({ length: 6 }, () => live())
  for (const session of sessions) await ask(session, { dueAt: at(0.5), warnMinutes: [10] })
  await until(async () => (await begun(app)) === 4 && calls(scene, 'chat').length === 4)
  await ask(live(), {})
  await until(() => endTimes(scene).length === 1)
  await clock.advanceTo(NOON + MINUTE / 2)
  await until(() => endTimes(scene).length === 7)
  t.same(endTimes(scene), [0, ...Array.from({ length: 6 }, () => 0.5)])
  await until(async () => (await app.ledger.backlog()).pending === 0 && (await begun(app)) === 0)
  t.equal(calls(scene, 'chat').length, 4, 'what was not begun in time is left out')
  t.ok(sessions.every(({ live }) => !live))
})

t.test('where calls are short, ends go first, and what would come late is not said', async (t) => {
  const scene = await startScene(t, { env: { CALLS_PER_MINUTE: '3' } })
  const { live, ask, pass, clock, app, sandbox, warnings } = scene
  for (let i = 0; i < 3; i += 1) await ask(live(), { dueAt: at(1 / 6) })
  const late = await ask(live({ friendlyUrl: 'late' }), { dueAt: at(11), warnMinutes: [10] })
  for (let i = 0; i < 2; i += 1) await ask(live(), { dueAt: at(1) })
  const after = await ask(live({ friendlyUrl: 'soon' }), { dueAt: at(12), warnMinutes: [11] })
  await pass(0.9)
  t.equal(sandbox.calls.length, 3, 'all that may leave in this minute')
  let waiting = 0
  const { enter } = app.gate
  app.gate.enter = (...asked) => {
    waiting += 1
    return enter.apply(app.gate, asked)
  }
  await clock.advanceTo(NOON + MINUTE)
  await until(async () => waiting > 0 && (await begun(app)) === 2)
  // Both are marked; each is a moment later waiting for its call.
  for (let turns = 0; turns < 20; turns += 1) await clock.advance(0)
  // The first calls are a minute and a second old: three may leave, two warnings and two ends wait for that.
  await clock.advanceTo(NOON + MINUTE / 6 + 61_000)
  await until(() => endTimes(scene).length === 5)
  t.same(endTimes(scene).slice(3), [71 / 60, 71 / 60])
  await clock.advanceTo(NOON + 1.5 * MINUTE)
  await until(async () => (await begun(app)) === 0)
  const results = [...(await warnings(late)), ...(await warnings(after))].map((w) => (w as string[])[2])
  t.same(results.sort(), ['failed', 'failed'])
  t.equal(sandbox.chat.length, 0)
})

t.test('an end does not wait for the list that a warning has asked for', async (t) => {
  const scene = await startScene(t)
  const { live, request, sandbox, app } = scene
  live({ externalId: 'warned' })
  const over = live({ externalId: 'over' })
  sandbox.inject({ kind: 'hang', operation: 'sessions' })
  const end = (roomExternalId: string, body: object) =>
    request('POST', '/v1/endings', { body: { target: { roomExternalId }, ...body } })
  await end('warned', { dueAt: at(10), warnMinutes: [10] })
  await sandbox.waitForCalls(1)
  await end('over', {})
  await until(() => !over.live)
  t.equal(await begun(app), 1)
})
