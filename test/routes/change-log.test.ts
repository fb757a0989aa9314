import { randomUUID } from 'node:crypto'
import t from 'tap'
import { onEveryEngine } from '../helper/engines.ts'
import { startService, until } from '../helper/service.ts'

const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString()

onEveryEngine(t, 'an ending says who changed it, from what to what', async (t, databaseUrl) => {
  const { request, ending } = await startService(t, { databaseUrl })
  const [first, second, third] = [10, 20, 30].map(inMinutes)
  const target = { session: randomUUID() }
  const made = await request('POST', '/v1/endings', { body: { target, dueAt: first, key: 'k' } })
  const { id } = made.json()
  t.same((await ending(id)).changes, [])
  await request('PATCH', `/v1/endings/${id}`, { body: { dueAt: second } })
  await request('PATCH', `/v1/endings/${id}`, { as: 'billing', body: { dueAt: third } })
  await request('PATCH', `/v1/endings/${id}`, { as: 'ops', body: { dueAt: third } })
  await request('PATCH', `/v1/endings/${id}`, { body: { dueAt: third } })
  const replaced = {
    target: { room: 'a-room' },
    dueAt: first,
    key: 'k',
    metadata: { ticket: 1 },
    urgent: true,
  }
  t.equal((await request('POST', '/v1/endings', { body: replaced })).json().id, id)
  await request('POST', `/v1/endings/${id}/cancel`, { as: 'ops' })
  const { changes = [], changesOmitted } = await ending(id)
  t.equal(changesOmitted, undefined)
  t.match(
    changes.map(({ at, ...change }) => change),
    [
      { by: 'booking', change: 'moved', from: { dueAt: first }, to: { dueAt: second } },
      { by: 'ops', change: 'moved', from: { dueAt: second }, to: { dueAt: third } },
      {
        by: 'booking',
        change: 'replaced',
        from: { target, dueAt: third, metadata: {}, urgent: false },
        to: { target: { room: 'a-room' }, dueAt: first, metadata: { ticket: 1 }, urgent: true },
      },
      { by: 'ops', change: 'cancelled', from: { state: 'pending' }, to: { state: 'cancelled' } },
    ],
  )
  t.notOk(Object.hasOwn(changes[2]?.from ?? {}, 'reason'), 'what is the same is left out')
  t.ok(changes.every(({ at }) => Math.abs(Date.parse(at) - Date.now()) < 60_000))
})

onEveryEngine(t, 'what events, rules and holds change is told as well', async (t, databaseUrl) => {
  const { request, sandbox, ending, app } = await startService(t, { databaseUrl })
  const room = sandbox.createRoom({ friendlyUrl: 'the-room' })
  const session = sandbox.startSession({ room: room.id })
  await request('PUT', '/v1/time-limits/the-room', { body: { maxMinutes: 60 } })
  const pending = async () => (await app.ledger.list({ state: 'pending' }, 10))[0]
  const { id } = await until(pending)
  await request('PUT', '/v1/time-limits/the-room', { body: { maxMinutes: 90 } })
  await request('DELETE', '/v1/time-limits/the-room')
  t.match((await ending(id)).changes, [
    { by: 'curfew', change: 'moved' },
    { by: 'curfew', change: 'cancelled' },
  ])
  const tell = (type: string, data: object) =>
    request('POST', '/v1/events', {
      headers: { 'content-type': 'application/cloudevents+json' },
      body: { specversion: '1.0', id: randomUUID(), source: '/b', type, data },
    })
  const targets = Array.from({ length: 60 }, () => ({ sessionId: randomUUID() }))
  const suspended = await tell('billing.suspended', { account: 'acme', targets, graceSeconds: 600 })
  await tell('billing.resumed', { account: 'acme' })
  for (const one of suspended.json().events[0].endings)
    t.match((await ending(one)).changes, [{ by: 'booking', change: 'cancelled' }])
  t.equal(session.live, true)
})

onEveryEngine(t, 'a failed one that is tried again, and what went wrong last', async (t, databaseUrl) => {
  const { request, sandbox, ending } = await startService(t, { databaseUrl })
  const { id } = (await request('POST', `/v1/sessions/${randomUUID()}/end`)).json()
  await until(async () => (await ending(id)).state === 'failed')
  t.match(await ending(id), { lastError: { at: String, error: 'Digital Samba knows no such session' } })
  await request('POST', `/v1/endings/${id}/retry`)
  t.match((await ending(id)).changes, [
    {
      by: 'booking',
      change: 'retried',
      from: { state: 'failed', failure: 'session_not_found' },
      to: { state: 'pending', failure: null },
    },
  ])
  sandbox.inject({ kind: 'status', status: 500, operation: 'room-sessions', times: Number.POSITIVE_INFINITY })
  const room = (await request('POST', '/v1/rooms/some-room/end')).json()
  t.equal(room.lastError, null)
  await until(async () => (await ending(room.id)).attempt > 0)
  const { attempts, lastError } = await ending(room.id)
  t.match({ attempts, lastError }, { attempts: [], lastError: { error: 'answered 500: Server Error' } })
  const [listed] = (await request('GET', '/v1/endings?room=some-room')).json().data
  t.match(listed.lastError, { error: 'answered 500: Server Error' })
})

onEveryEngine(t, 'of many changes the first and the newest hundred are kept', async (t, databaseUrl) => {
  const { request, ending } = await startService(t, { databaseUrl })
  const body = { target: { session: randomUUID() }, dueAt: inMinutes(1) }
  const { id } = (await request('POST', '/v1/endings', { body })).json()
  for (let i = 2; i <= 151; i += 1)
    await request('PATCH', `/v1/endings/${id}`, { body: { dueAt: inMinutes(i) } })
  const { changes = [], changesOmitted } = await ending(id)
  t.equal(changes.length, 101)
  t.equal(changesOmitted, 49)
  t.match(changes[0], { from: { dueAt: body.dueAt } })
})

t.test('the status says until when, why not, how many failed, and when webhooks came', async (t) => {
  const env = { DIGITAL_SAMBA_WEBHOOK_SECRET: 'a-secret-of-webhooks' }
  const { request, sandbox, ending, app } = await startService(t, { env })
  const status = async () => (await request('GET', '/status')).json()
  t.match(await status(), {
    accepting: true,
    acceptingWhy: null,
    calls: { state: 'ok', until: null },
    failedLastDay: 0,
    webhook: { lastAt: null, lastRefusedAt: null },
  })
  const tell = (authorization: string) =>
    request('POST', '/v1/webhooks/digital-samba', {
      as: null,
      headers: { authorization },
      body: { eventType: 'session_ended', sessionId: randomUUID() },
    })
  await tell('a-secret-of-webhooks')
  await tell('another-secret-of-ours')
  const { id } = (await request('POST', `/v1/sessions/${randomUUID()}/end`)).json()
  await until(async () => (await ending(id)).state === 'failed')
  sandbox.inject({ kind: 'status', status: 429, headers: { 'retry-after': '300' } })
  await request('POST', `/v1/sessions/${randomUUID()}/end`)
  await until(async () => (await status()).calls.state === 'rate_limited')
  const limited = await status()
  t.match(limited, { failedLastDay: 1, webhook: { lastAt: String, lastRefusedAt: String } })
  t.ok(Math.abs(Date.parse(limited.calls.until) - Date.now() - 300_000) < 10_000)
  app.ledger.probe = async () => {
    throw Object.assign(new Error('database or disk is full'), { errcode: 13 })
  }
  await until(async () => (await status()).accepting === false)
  t.match(await status(), { acceptingWhy: 'the disk is full' })
})
