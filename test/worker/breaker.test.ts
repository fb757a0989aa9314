import t from 'tap'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { onEveryEngine } from '../helper/engines.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { environment, type Service, startService, until } from '../helper/service.ts'
import { passTo, start } from '../simulation/running.ts'
import { tellNoTime } from '../simulation/simulate.ts'

const OUTAGE_MS = 300_000

/** Lets time pass in small steps, at each as long as something is under way. */
async function pass({ app, sandbox }: Service, clock: ManualClock, ms: number): Promise<void> {
  const isQuiet = async () => {
    const before = sandbox.calls.length
    const rows = await app.ledger.list({ state: 'pending' }, 1000)
    return before === sandbox.calls.length && rows.every((row) => row.claimed_until === null)
  }
  for (const to = clock.now() + ms; clock.now() < to; ) {
    await clock.advanceTo(Math.min(clock.now() + 250, to))
    await until(isQuiet)
  }
}

async function endSessions({ sandbox, request }: Service, count: number): Promise<string[]> {
  const { id: room } = sandbox.createRoom()
  const sessions = Array.from({ length: count }, () => sandbox.startSession({ room }).id)
  for (const session of sessions) await request('POST', `/v1/sessions/${session}/end`)
  return sessions
}

onEveryEngine(
  t,
  'an outage of five minutes with 200 endings due costs a call a second, and all are done at once after it',
  async (t, databaseUrl, engine) => {
    if (engine === 'postgres') await tellNoTime(databaseUrl)
    const clock = new ManualClock()
    const sandbox = await startSandbox({ clock })
    t.teardown(() => sandbox.close())
    const lines: Array<Record<string, unknown>> = []
    const env = environment(sandbox, databaseUrl, { CALLS_PER_MINUTE: '900' })
    const curfew = await start(env, clock, (line) => lines.push(line))
    t.teardown(() => curfew.close())
    const status = async () => (await curfew.ask('GET', '/status', 'booking')).json()
    sandbox.inject({ kind: 'status', status: 500, times: Number.POSITIVE_INFINITY })
    const { id: room } = sandbox.createRoom()
    for (let i = 0; i < 200; i += 1) {
      const { id } = sandbox.startSession({ room })
      await curfew.ask('POST', `/v1/sessions/${id}/end`, 'booking', {})
    }
    await passTo(clock, clock.now() + OUTAGE_MS)
    const during = sandbox.calls.length
    t.ok(during <= 5 + 10 + OUTAGE_MS / 1000, `${during} calls in the outage`)
    t.ok(during >= 0.8 * (OUTAGE_MS / 1000), 'it is asked all the while')
    const { calls } = await status()
    t.match(calls, { state: 'failing', why: 'end: answered 500: Server Error' })
    t.ok(calls.budgetLeft >= 900 - 62, `${calls.budgetLeft} calls are left for when it is over`)

    sandbox.clearFaults()
    const over = clock.now()
    while ((await status()).pending > 0) await passTo(clock, clock.now() + 250)
    t.ok(clock.now() - over <= 1500, `all done ${clock.now() - over} ms after it`)
    t.equal(sandbox.calls.length - during, 200, 'a call each')
    t.same(sandbox.liveSessions(), [])
    t.match(await status(), { calls: { state: 'ok', why: null } })
    t.same(
      lines.map(({ msg }) => msg),
      ['calls.failing'],
      'one line says so',
    )
  },
)

t.test('attempts that were not made are not counted', async (t) => {
  const clock = new ManualClock()
  const service = await startService(t, { clock })
  const { sandbox, app } = service
  sandbox.inject({ kind: 'status', status: 500, times: Number.POSITIVE_INFINITY })
  await endSessions(service, 20)
  await pass(service, clock, 30_000)
  const rows = await app.ledger.list({ state: 'pending' }, 100)
  const counted = rows.reduce((sum, { attempt }) => sum + attempt, 0)
  const attempts = await Promise.all(rows.map(({ id }) => app.ledger.attempts(id)))
  const made = attempts.map((calls) => new Set(calls.map(({ attempt }) => attempt)).size)
  t.equal(
    counted,
    made.reduce((sum, count) => sum + count, 0),
    `${counted} attempts, each with a call`,
  )
})

t.test('what some sessions answer stops nobody else', async (t) => {
  const clock = new ManualClock()
  const service = await startService(t, { clock })
  const { sandbox, app, request } = service
  const bad = Array.from({ length: 100 }, () => sandbox.startSession({ room: sandbox.createRoom().id }).id)
  for (const session of bad) {
    sandbox.inject({ kind: 'status', status: 500, session, times: Number.POSITIVE_INFINITY })
    await request('POST', `/v1/sessions/${session}/end`)
  }
  await pass(service, clock, 200_000)
  const before = sandbox.calls.length
  await endSessions(service, 30)
  const began = clock.now()
  while ((await app.ledger.backlog()).pending > 100) await pass(service, clock, 250)
  t.ok(clock.now() - began <= 1500, `the others are done after ${clock.now() - began} ms`)
  // They come one after another as well.
  for (let i = 0; i < 20; i += 1) {
    await endSessions(service, 1)
    await pass(service, clock, 2000)
  }
  t.equal((await app.ledger.backlog()).pending, 100)
  t.ok(sandbox.calls.length - before < 700, `${sandbox.calls.length - before} calls in 40 s`)
  const rows = await app.ledger.list({ state: 'pending' }, 200)
  const attempts = rows.map(({ attempt }) => attempt)
  t.ok(Math.min(...attempts) > 0, 'each of those that fail has its turn')
})

t.test('a login page that answers 200 is an outage', async (t) => {
  const clock = new ManualClock()
  const service = await startService(t, { clock })
  const { sandbox, request } = service
  sandbox.inject({ kind: 'html', status: 200, times: Number.POSITIVE_INFINITY })
  const [session] = await endSessions(service, 3)
  await pass(service, clock, 10_000)
  t.match((await request('GET', '/status')).json(), {
    calls: { state: 'failing', why: 'end: answered something that is not JSON' },
    pending: 3,
  })
  sandbox.clearFaults()
  await pass(service, clock, 10_000)
  t.equal(sandbox.session(session as string)?.live, false)
  t.match((await request('GET', '/status')).json(), { calls: { state: 'ok' }, pending: 0 })
})

t.test('a proxy’s 404 neither fails an ending nor confirms one', async (t) => {
  const clock = new ManualClock()
  const service = await startService(t, { clock })
  const { sandbox, request, ending } = service
  const page = { kind: 'html', status: 404, times: Number.POSITIVE_INFINITY } as const
  sandbox.createRoom({ friendlyUrl: 'the-room' })
  sandbox.startSession({ room: 'the-room' })
  const { id: session } = sandbox.startSession({ room: sandbox.createRoom().id })
  sandbox.inject(page)
  const ids: string[] = []
  for (const path of [`/v1/sessions/${session}/end`, '/v1/rooms/the-room/end'])
    ids.push((await request('POST', path)).json().id)
  await pass(service, clock, 3000)
  for (const id of ids) t.match(await ending(id), { state: 'pending', failure: null })
  sandbox.clearFaults()
  sandbox.inject({ ...page, operation: 'session' })
  await pass(service, clock, 20_000)
  for (const id of ids) t.match(await ending(id), { state: 'ended' })
  t.match(await ending(ids[0] as string), { outcome: 'ended', confirmedAt: null }, 'not seen to be over')
  sandbox.clearFaults()
  await pass(service, clock, 200_000)
  await until(async () => (await ending(ids[0] as string)).confirmedAt)
})
