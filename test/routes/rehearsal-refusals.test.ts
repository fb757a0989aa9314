import { randomUUID } from 'node:crypto'
import t from 'tap'
import { onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { type Asked, end, rehearse, type Stage, send, startRehearsal } from './rehearsing.ts'
import { HOUR } from './scene.ts'

onEveryEngine(t, 'what would be refused is refused', async (t, databaseUrl) => {
  const stage = await startRehearsal(t, databaseUrl)
  const { ask, finished, underway, at } = stage
  const mine = await ask({ key: 'mine' })
  const over = await finished('cancelled')
  const failed = await finished('failed', { key: 'taken' })
  await ask({ key: 'taken' })
  const busy = await underway({ key: 'busy' })
  const on = (id: string, what: string, more: Partial<Asked> = {}) =>
    end(`/v1/endings/${id}${what}`, {}, more)
  const move = (id: string, body: object, more: Partial<Asked> = {}): Asked => ({
    ...on(id, '', { method: 'PATCH', ...more }),
    body,
  })
  const event = { specversion: '1.0', id: '1', source: '/shop', type: 'time_limit.reached', data: {} }
  const type = { 'content-type': 'application/cloudevents+json' }
  const refused: Array<[number, Asked]> = [
    [403, on(mine.id, '/cancel', { as: 'billing' })],
    [403, move(mine.id, { extendMinutes: 1 }, { as: 'billing' })],
    [404, on(randomUUID(), '/cancel')],
    [404, on(randomUUID(), '/retry')],
    [404, move(randomUUID(), { dueAt: at(HOUR) })],
    [409, on(over.id, '/cancel')],
    [409, move(over.id, { extendMinutes: 1 })],
    [409, on(mine.id, '/retry')],
    [409, on(failed.id, '/retry')],
    [409, on(busy.id, '/cancel')],
    [409, move(busy.id, { extendMinutes: 1 })],
    [409, end('/v1/endings', { target: { room: 'the-room' }, key: 'busy' }, { waits: true })],
    [422, end('/v1/endings', { target: {} })],
    [422, end('/v1/endings', { target: { room: 'the-room' }, dueAt: 'soon' })],
    [422, move(mine.id, {})],
    [422, { url: '/v1/events', body: JSON.stringify(event), headers: type }],
    [400, { url: '/v1/events', body: '{', headers: type }],
    [415, { url: '/v1/events', body: 'x', headers: { 'content-type': 'text/plain' } }],
  ]
  for (const [status, asked] of refused) {
    const headers = { ...asked.headers, 'x-request-id': 'the-same' }
    const rehearsed = await rehearse(t, stage, { ...asked, headers })
    t.equal(rehearsed.statusCode, status, `${asked.url} ${rehearsed.body}`)
    const real = await send(stage, { ...asked, headers })
    t.same(rehearsed.json(), real.json())
  }
  t.equal((await stage.request('POST', '/v1/endings?dryRun=true', { body: {}, as: null })).statusCode, 401)
})

onEveryEngine(t, 'dryRun is true or false', async (t, databaseUrl) => {
  const stage = await startRehearsal(t, databaseUrl)
  const { live, request } = stage
  for (const query of [
    'dryRun=yes',
    'dryRun=',
    'dryRun',
    'dryRun=TRUE',
    'dryRun=1',
    'dryRun=true&dryRun=true',
    'dryrun=true',
  ]) {
    const answer = await request('POST', `/v1/sessions/${live().id}/end?${query}`)
    t.equal(answer.statusCode, 422, query)
    t.match(answer.json().errors, [{ pointer: query.startsWith('dryRun') ? '/dryRun' : '/dryrun' }])
  }
  const real = await request('POST', `/v1/sessions/${live().id}/end?dryRun=false`)
  t.equal(real.statusCode, 202)
  t.notOk('dryRun' in real.json())
})

onEveryEngine(t, 'where nothing can be looked up it says so', async (t, databaseUrl) => {
  // PostgreSQL's clock does not stand still: after a minute of the test's own, it would be set right again.
  const cases: Array<[string, (stage: Stage) => void, RegExp]> = [
    [
      'rate_limited',
      ({ sandbox }) => sandbox.inject({ kind: 'status', status: 429, headers: { 'retry-after': '5' } }),
      /rate_limited/,
    ],
    ['failing', ({ sandbox }) => sandbox.inject({ kind: 'status', status: 500, times: 50 }), /failing/],
    ['refused', ({ sandbox }) => sandbox.setCredentials({ developerKey: 'another' }), /refused/],
  ]
  const stage = await startRehearsal(t, databaseUrl)
  const { sandbox, app, live, clock, request } = stage
  for (const [state, trouble, why] of cases) {
    trouble(stage)
    for (let i = 0; i < 5; i += 1) await request('POST', `/v1/sessions/${live().id}/end`)
    await until(async () => {
      if (app.gate.status().state !== state || app.gate.isOpen) await clock.advance(500)
      return app.gate.status().state === state && !app.gate.isOpen
    })
    const { room, id } = live()
    const answer = await rehearse(t, stage, end(`/v1/rooms/${room.id}/end`))
    t.equal(answer.statusCode, 200, state)
    t.match(answer.json(), { state: 'pending', dryRun: true, wouldEnd: null, wouldEndWhy: why })
    const session = await rehearse(t, stage, end(`/v1/sessions/${id}/end`))
    t.match(session.json(), { wouldEnd: [id] }, 'which one is meant is known without a look')
    sandbox.clearFaults()
    if (state === 'refused') return
    await until(async () => {
      await clock.advance(1000)
      return app.gate.status().state === 'ok' && (await app.ledger.backlog()).overdue === 0
    })
  }
})

onEveryEngine(t, 'fifty rooms are looked up, and not one more', async (t, databaseUrl) => {
  const stage = await startRehearsal(t, databaseUrl)
  const suspend = (count: number): Asked => {
    const targets = Array.from({ length: count }, () => ({ roomId: stage.live().room.id }))
    const data = { account: 'acme', targets }
    const event = { specversion: '1.0', id: '1', source: '/shop', type: 'billing.suspended', data }
    const headers = { 'content-type': 'application/cloudevents+json' }
    return { url: '/v1/events', body: JSON.stringify(event), headers }
  }
  const all = await rehearse(t, stage, suspend(50), 50)
  t.same(all.json().wouldEnd.sort(), stage.sandbox.sessions.map(({ id }) => id).sort())
  const many = await rehearse(t, stage, suspend(51))
  t.match(many.json(), { wouldEnd: null, wouldEndWhy: /51 rooms are due, and at most 50/ })
})

onEveryEngine(t, 'rehearsals among real requests leave nothing, and take nothing', async (t, databaseUrl) => {
  const { request, at, app } = await startRehearsal(t, databaseUrl)
  const ask = (i: number, query: string) =>
    request('POST', `/v1/endings${query}`, {
      body: { target: { room: 'the-room' }, dueAt: at(HOUR), ...(i % 3 ? { key: `k${i}` } : {}) },
    })
  const all = await Promise.all(Array.from({ length: 300 }, (_, i) => ask(i, i % 2 ? '?dryRun=true' : '')))
  const real = all.filter((_, i) => i % 2 === 0)
  t.ok(real.every(({ statusCode }) => statusCode === 202))
  t.ok(all.filter((_, i) => i % 2).every(({ statusCode }) => statusCode === 200))
  const stored = await app.ledger.list({}, 200)
  t.same(stored.map(({ id }) => id).sort(), real.map((answer) => answer.json().id).sort())
})
