import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { type Fault, type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts'
import { freshUrl } from '../helper/engines.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { type Service, until } from '../helper/service.ts'
import { count, crowd, limitOf, MINUTE, SECOND, SWEEP_MS, setRule, startSweeping, sweep } from './sweeping.ts'

/** Runs at the first page, before the next one is asked for. */
function atFirstPage(sandbox: Sandbox, run: () => unknown): void {
  const stop = sandbox.onCall(({ operation }) => {
    if (operation !== 'sessions') return
    stop()
    run()
  })
}

const pending = async ({ app }: Pick<Service, 'app'>) => (await app.ledger.backlog()).pending

const FAULTS: Omit<Fault, 'operation'>[] = [
  { kind: 'status', status: 500 },
  { kind: 'status', status: 503, headers: { 'retry-after': '20' } },
  { kind: 'status', status: 429, headers: { 'retry-after': '20' } },
  { kind: 'not-json' },
  { kind: 'html', status: 200 },
  { kind: 'status', status: 200, body: { data: [{ start_time: 'soon' }] } },
]
for (const fault of FAULTS)
  t.test(`a sweep cut short by ${JSON.stringify(fault)} goes on at the next interval`, async (t) => {
    const clock = new ManualClock()
    const sandbox = await startSandbox({ clock })
    t.teardown(() => sandbox.close())
    const sessions = crowd(sandbox, 150)
    atFirstPage(sandbox, () => sandbox.inject({ ...fault, operation: 'sessions' }))
    const logged: unknown[] = []
    const onLog = ({ msg }: Record<string, unknown>) => void logged.push(msg)
    const service = await startSweeping(t, { clock, sandbox, onLog, env: { DEFAULT_TIME_LIMIT: '50m' } })
    await until(() => logged.includes('sweep.cut_short'))
    t.equal(await pending(service), 100)
    await clock.advance(SWEEP_MS - 1)
    t.equal(sandbox.calls.length, 2, 'and not before')
    await clock.advance(1)
    await until(async () => (await pending(service)) === 150)
    for (const session of sessions)
      if ((await limitOf(service, session)).due_at !== session.startTime + 50 * MINUTE) t.fail('another time')
    t.equal(sandbox.calls.length, 4)
  })

t.test('refused credentials put sweeps off, and a sweep finds out that they work again', async (t) => {
  const databaseUrl = await freshUrl(t, 'sqlite')
  const first = await startSweeping(t, { databaseUrl, env: { DEFAULT_TIME_LIMIT: '50m' } })
  const { sandbox, clock } = first
  await sandbox.waitForCalls(1)
  const [early] = crowd(sandbox, 1)
  sandbox.setCredentials({ developerKey: 'rotated' })
  await sweep(first)
  await until(() => first.app.gate.refused)
  const began = sandbox.calls.length
  for (let i = 0; i < 10; i += 1) {
    await clock.advance(SWEEP_MS)
    await until(async () => first.app.gate.status().state === 'refused')
  }
  t.ok(sandbox.calls.length - began <= 5, `${sandbox.calls.length - began} calls in five minutes`)
  sandbox.setCredentials({ developerKey: 'sandbox-developer-key' })
  await until(async () => {
    await clock.advance(SWEEP_MS)
    return (await pending(first)) === 1
  })
  t.match(await limitOf(first, early as never), { due_at: (early?.startTime ?? 0) + 50 * MINUTE })
  t.equal(first.app.gate.refused, false, 'although nothing was due')

  sandbox.setCredentials({ developerKey: 'rotated again' })
  await sweep(first)
  await until(() => first.app.gate.refused)
  await first.close()
  sandbox.setCredentials({ developerKey: 'sandbox-developer-key' })
  const late = sandbox.startSession({ room: sandbox.createRoom().id })
  const second = await startSweeping(t, { databaseUrl, sandbox, clock, env: { DEFAULT_TIME_LIMIT: '50m' } })
  t.match(
    await limitOf(second, late),
    { due_at: late.startTime + 50 * MINUTE },
    'nor does a restart need more',
  )
})

t.test(
  'an ending that comes due while a sweep asks whether the credentials work waits for that answer only',
  async (t) => {
    const service = await startSweeping(t, { env: { DEFAULT_TIME_LIMIT: '50m' } })
    const { sandbox, clock, app } = service
    await sandbox.waitForCalls(1)
    const [session] = crowd(sandbox, 1)
    sandbox.setCredentials({ developerKey: 'rotated' })
    await sweep(service)
    await until(() => app.gate.refused)
    sandbox.setCredentials({ developerKey: 'sandbox-developer-key' })
    sandbox.inject({ kind: 'delay', delayMs: 3 * SECOND, operation: 'sessions' })
    const before = sandbox.calls.length
    // In steps that are shorter than that answer takes, with time for the call between them.
    await until(async () => {
      if (sandbox.calls.length > before) return true
      await clock.advance(SECOND / 2)
      await pause(10)
      return sandbox.calls.length > before
    })
    const answer = await service.request('POST', `/v1/sessions/${session?.id}/end`)
    const dueAt = Date.parse(answer.json().dueAt)
    for (let turns = 0; turns < 20; turns += 1) await clock.advance(0)
    t.equal(sandbox.calls.length, before + 1)
    await clock.advance(3 * SECOND)
    await until(() => session?.live === false)
    t.equal((session?.endTime ?? 0) - dueAt, 3 * SECOND)
  },
)

t.test('a rule that is removed while a sweep is on its way leaves nothing behind', async (t) => {
  const service = await startSweeping(t)
  const { sandbox, clock, request } = service
  const sessions = crowd(sandbox, 150)
  let removed: Promise<unknown> | undefined
  atFirstPage(sandbox, () => {
    // The second page is answered only when the rule is gone.
    sandbox.inject({ operation: 'sessions', kind: 'delay', delayMs: 1000 })
    removed = request('DELETE', '/v1/time-limits/crowded')
  })
  await setRule(service, 'crowded', 50)
  await sandbox.waitForCalls(2)
  await removed
  await clock.advance(1000)
  await until(() => sandbox.calls[1]?.status === 200)
  for (let i = 0; i < 4; i += 1) await clock.advance(SWEEP_MS)
  t.equal(await pending(service), 0)
  await clock.advance(60 * MINUTE)
  t.equal(count(service, 'end'), 0)
  t.ok(sessions.every(({ live }) => live))
})

t.test('when calls are short, endings go before the rest of a sweep', async (t) => {
  const env = { DEFAULT_TIME_LIMIT: '50m', CALLS_PER_MINUTE: '1' }
  const clock = new ManualClock()
  const sandbox = await startSandbox({ clock })
  t.teardown(() => sandbox.close())
  const sessions = crowd(sandbox, 150)
  const service = await startSweeping(t, { clock, sandbox, env })
  await until(async () => (await pending(service)) === 100)
  let waiting = 0
  const enter = service.app.gate.enter.bind(service.app.gate)
  service.app.gate.enter = (...args) => {
    waiting += 1
    return enter(...args)
  }
  const body = { dueAt: new Date(clock.now() + 5 * SECOND).toISOString() }
  for (const { id } of sessions.slice(0, 2)) await service.request('POST', `/v1/sessions/${id}/end`, { body })
  await clock.advance(5 * SECOND)
  for (let call = 1; call <= 3; call += 1) {
    await until(() => waiting >= Math.min(call, 2))
    t.equal(sandbox.calls.length, call)
    await clock.advance(61 * SECOND)
    await sandbox.waitForCalls(call + 1)
  }
  const operations = sandbox.calls.map(({ operation }) => operation)
  t.same(operations, ['sessions', 'end', 'end', 'sessions'], 'although the sweep has waited longer')
  await until(async () => (await pending(service)) === 150)
})
