import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { freshUrl, onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { HOUR, startScene } from '../routes/scene.ts'
import { tellNoTime } from '../simulation/simulate.ts'
import { parse, type Read, risen, scrape } from './reading.ts'

const NAMES = {
  curfew_endings_accepted_total: 'counter',
  curfew_endings_finished_total: 'counter',
  curfew_calls_total: 'counter',
  curfew_events_total: 'counter',
  curfew_unauthorized_total: 'counter',
  curfew_ending_lateness_seconds: 'histogram',
  curfew_call_duration_seconds: 'histogram',
  http_request_duration_seconds: 'histogram',
  curfew_endings_pending: 'gauge',
  curfew_endings_overdue: 'gauge',
  curfew_oldest_overdue_seconds: 'gauge',
  curfew_budget_left: 'gauge',
  curfew_calls_state: 'gauge',
  curfew_sweep_age_seconds: 'gauge',
  process_cpu_seconds_total: 'counter',
  nodejs_eventloop_lag_p99_seconds: 'gauge',
}

t.test('open to all, in the text format, with every name that was promised', async (t) => {
  const { request } = await startScene(t)
  const { statusCode, headers, body } = await request('GET', '/metrics', { as: null })
  t.equal(statusCode, 200)
  t.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  for (const [name, type] of Object.entries(NAMES)) t.match(body, `# TYPE ${name} ${type}\n`)
  const read = parse(body)
  for (const state of ['ok', 'paused', 'rate_limited', 'refused', 'failing'])
    t.equal(read.get(`curfew_calls_state{state="${state}"}`), state === 'ok' ? 1 : 0)
  const buckets = [...read.keys()].flatMap(
    (series) => /lateness_seconds_bucket\{le="(.*)"\}/.exec(series)?.[1] ?? [],
  )
  t.same([buckets[0], buckets.at(-2), buckets.at(-1)], ['0.005', '600', '+Inf'], '5 ms to 10 min')
  t.equal((await request('GET', '/metrics?x=1', { as: null })).statusCode, 422)
})

onEveryEngine(t, 'each ending counts once as accepted and once as finished', async (t, databaseUrl) => {
  const scene = await startScene(t, { databaseUrl })
  const { request, ask, finished, clock, app, at, sandbox } = scene
  let before = await scrape(scene)
  const since = async (name: string) => {
    const after = await scrape(scene)
    const found = risen(before, after, name)
    before = after
    return found
  }
  const accepted = (by: string) => `curfew_endings_accepted_total{requested_by="${by}"}`
  const over = (by: string, result: string) =>
    `curfew_endings_finished_total{requested_by="${by}",result="${result}"}`

  const { target } = await finished('ended')
  await finished('failed')
  await finished('cancelled')
  t.same(await since('curfew_endings_'), {
    [accepted('booking')]: 3,
    [over('booking', 'ended')]: 1,
    [over('booking', 'session_not_found')]: 1,
    [over('booking', 'cancelled')]: 1,
  })

  // Seen to be over: what was ended is confirmed, and that is no second end; another's ending for it is over by it.
  await ask({ target }, { as: 'billing' })
  const session = target.session as string
  await app.ledger.sessionSeenOver(session)
  t.same(await since('curfew_endings_finished_total'), { [over('billing', 'already_ended')]: 1 })

  const once = {
    headers: { 'idempotency-key': '"a"' },
    body: { target: { session: randomUUID() }, key: 'k', dueAt: at(HOUR) },
  }
  for (let i = 0; i < 3; i += 1) await request('POST', '/v1/endings', once)
  await request('POST', '/v1/endings', { body: { ...once.body, dueAt: at(2 * HOUR) } })
  t.same(await since('curfew_endings_'), { [accepted('booking')]: 1 }, 'neither a repeat nor a replacement')

  await request('POST', '/v1/rooms/no-such-room/end', { body: {} })
  const room = sandbox.createRoom().id
  await request('POST', `/v1/rooms/${room}/end`, { body: {}, headers: { prefer: 'wait=5' } })
  await until(async () => (await app.ledger.backlog()).overdue === 0)
  await clock.advance(0)
  t.same(await since('curfew_endings_finished_total'), {
    [over('booking', 'room_not_found')]: 1,
    [over('booking', 'nothing_live')]: 1,
  })
})

onEveryEngine(
  t,
  'what events, rules and holds make is counted with its owner',
  async (t, databaseUrl, engine) => {
    if (engine === 'postgres') await tellNoTime(databaseUrl)
    const scene = await startScene(t, {
      databaseUrl,
      env: { DEFAULT_TIME_LIMIT: '60m', SWEEP_INTERVAL: '1s' },
    })
    const { app, request, sandbox, clock, at } = scene
    const before = await scrape(scene)
    const send = (type: string, data: object, id: string = randomUUID()) =>
      request('POST', '/v1/events', {
        body: { specversion: '1.0', id, source: '/s', type, data },
        headers: { 'content-type': 'application/cloudevents+json' },
      })
    const booking = { bookingId: '1', roomId: 'some-room', endsAt: at(HOUR) }
    await send('com.example.booking.scheduled', booking, 'first')
    await send('booking.scheduled', booking, 'first')
    await send('booking.cancelled', { bookingId: '1', startsAt: at(HOUR / 2), endsAt: at(HOUR) })
    await send('something.unheard_of', {})
    t.same(risen(before, await scrape(scene), 'curfew_events_total'), {
      'curfew_events_total{type="booking.scheduled",status="accepted"}': 1,
      'curfew_events_total{type="booking.scheduled",status="duplicate"}': 1,
      'curfew_events_total{type="booking.cancelled",status="accepted"}': 1,
      'curfew_events_total{type="other",status="ignored"}': 1,
    })

    const counted = (result: string) => async (by: number) => {
      await clock.advance(1000)
      return (await scrape(scene)).get(result) === by
    }
    sandbox.startSession({ room: sandbox.createRoom().id })
    const accepted = counted('curfew_endings_accepted_total{requested_by="curfew"}')
    await until(() => accepted(1))
    t.pass('the ending that the default limit asks for is Curfew’s own')

    // A hold's own ending that cannot be carried out is taken back with the hold.
    sandbox.inject({ kind: 'status', status: 500, operation: 'end', times: Number.POSITIVE_INFINITY })
    const room = sandbox.createRoom().id
    const held = { dueAt: at(10 * HOUR), holdFrom: at(0), holdUntil: at(11 * HOUR) }
    await request('POST', `/v1/rooms/${room}/end`, { body: held })
    await clock.advance(1000)
    const { id } = (await request('GET', '/v1/holds'))
      .json()
      .data.find(({ target }: { target: { room: string } }) => target.room === room)
    const { id: session } = sandbox.startSession({ room })
    const cancelled = counted('curfew_endings_finished_total{requested_by="booking",result="cancelled"}')
    t.ok(await cancelled(1), 'the booking’s')
    const isBetweenAttempts = async () => {
      const now = app.ledger.clock.now()
      const tried = (await app.ledger.list({ state: 'pending', session }, 10)).filter(
        ({ attempt }) => attempt > 0,
      )
      return tried.some((ending) => ending.claimed_until === null && ending.next_attempt_at > now)
    }
    // Slowly enough for what is under way to keep its lease.
    for (; !(await isBetweenAttempts()); await pause(10)) await clock.advance(100)
    const lifted = await request('DELETE', `/v1/holds/${id}`)
    t.equal(lifted.statusCode, 200)
    t.ok(await cancelled(2), 'and the hold’s')
  },
)

t.test('what calls came to, how long they took, and how late the first one of an ending was', async (t) => {
  const scene = await startScene(t, { env: { CALL_TIMEOUT_MS: '200' } })
  const { request, sandbox, clock, ask, at, ending } = scene
  const session = () => sandbox.startSession({ room: sandbox.createRoom().id }).id
  const attempted = (id: string) => until(async () => (await ending(id)).attempt > 0)
  const before = await scrape(scene)
  for (const fault of [
    { kind: 'status', status: 500 },
    { kind: 'reset' },
    { kind: 'hang', times: 3 },
  ] as const) {
    const target = { session: session() }
    sandbox.inject({ ...fault, session: target.session })
    const { id } = await ask({ target, dueAt: at(0) })
    await until(async () => (await clock.advance(0)) ?? (await ending(id)).attempt > 0)
  }
  const after = await scrape(scene)
  t.same(risen(before, after, 'curfew_calls_total'), {
    'curfew_calls_total{operation="end",status="500"}': 1,
    'curfew_calls_total{operation="end",status="network"}': 1,
    'curfew_calls_total{operation="end",status="200"}': 1,
    'curfew_calls_total{operation="end",status="timeout"}': 3,
  })
  const count = 'curfew_ending_lateness_seconds_count'
  t.equal(after.get(count), 3, 'of several calls of an ending, the first')
  t.equal(after.get('curfew_call_duration_seconds_count{operation="end"}'), 6)

  // Its next attempts are no first calls.
  sandbox.clearFaults()
  await clock.advance(HOUR)
  await until(async () => (await scrapeOverdue(scene)) === 0)
  t.equal((await scrape(scene)).get(count), 3)
  t.equal((await request('GET', '/metrics', { as: null })).statusCode, 200)
  const past = await ask({ target: { session: session() }, dueAt: at(-HOUR) })
  await attempted(past.id)
  const last = await scrape(scene)
  t.equal(last.get(count), 4)
  t.equal(
    last.get('curfew_ending_lateness_seconds_bucket{le="0.005"}'),
    4,
    'one that was asked for late is not late',
  )
})

const scrapeOverdue = async ({ app }: Awaited<ReturnType<typeof startScene>>) =>
  (await app.ledger.backlog()).overdue

t.test('requests by the pattern of their route, and who was refused', async (t) => {
  const scene = await startScene(t)
  const { request, ask } = scene
  const { id } = await ask()
  const before = await scrape(scene)
  await request('GET', `/v1/endings/${id}`)
  await request('GET', `/v1/endings/${randomUUID()}`)
  await request('GET', `/v1/endings/${id}`, { as: null })
  await request('GET', '/v1/webhooks/nowhere')
  await request('DELETE', '/v1/endings')
  const after = await scrape(scene)
  const counts = risen(before, after, 'http_request_duration_seconds_count')
  const series = (method: string, route: string, status: number) =>
    `http_request_duration_seconds_count{method="${method}",route="${route}",status_code="${status}"}`
  t.same(counts, {
    [series('GET', '/v1/endings/:id', 200)]: 1,
    [series('GET', '/v1/endings/:id', 404)]: 1,
    [series('GET', '/v1/endings/:id', 401)]: 1,
    [series('GET', 'unknown', 404)]: 1,
    [series('DELETE', '/v1/endings', 405)]: 1,
    [series('GET', '/metrics', 200)]: 1,
  })
  t.same(risen(before, after, 'curfew_unauthorized_total'), { curfew_unauthorized_total: 1 })
})

t.test('two services in one process count each for itself', async (t) => {
  const [one, other] = [await startScene(t), await startScene(t)]
  await one.ask()
  const accepted = (read: Read) => read.get('curfew_endings_accepted_total{requested_by="booking"}')
  t.same([accepted(await scrape(one)), accepted(await scrape(other))], [1, 0])
})

onEveryEngine(t, 'what the database does not tell is left out, and comes back', async (t, databaseUrl) => {
  const lines: unknown[] = []
  const scene = await startScene(t, { databaseUrl, onLog: (line) => lines.push(line.msg) })
  const { app, clock, ask } = scene
  await ask()
  const gauges = async () => {
    await clock.advance(1000)
    const read = await scrape(scene)
    t.equal(read.get('curfew_endings_accepted_total{requested_by="booking"}'), 1, 'the others are there')
    t.equal(read.get('curfew_calls_state{state="ok"}'), 1)
    const names = ['curfew_endings_pending', 'curfew_endings_overdue', 'curfew_oldest_overdue_seconds']
    return [...names, 'curfew_budget_left'].map((name) => read.get(name))
  }
  t.same(await gauges(), [1, 0, 0, 900])
  await app.database.db.schema.alterTable('endings').renameTo('away').execute()
  t.same(await gauges(), [undefined, undefined, undefined, 900])
  t.ok(lines.includes('metrics.not_read'))
  await app.database.db.schema.alterTable('away').renameTo('endings').execute()
  t.same(await gauges(), [1, 0, 0, 900])
  await app.database.db.schema.alterTable('permits').renameTo('away').execute()
  t.same(await gauges(), [1, 0, 0, undefined])
  await app.database.db.schema.alterTable('away').renameTo('permits').execute()
})

t.test('a database that hangs does not keep /metrics waiting, and is asked once', async (t) => {
  const scene = await startScene(t, { databaseUrl: await freshUrl(t, 'sqlite') })
  const { app } = scene
  let asked = 0
  const { backlog } = app.ledger
  app.ledger.backlog = () => {
    asked += 1
    return new Promise(() => {})
  }
  for (let i = 0; i < 3; i += 1) {
    const read = await scene.inTime(scrape(scene))
    t.notOk(read.has('curfew_endings_pending'))
    t.ok(read.has('curfew_unauthorized_total'), 'what is known in memory is told')
  }
  t.equal(asked, 1)
  app.ledger.backlog = backlog
})
