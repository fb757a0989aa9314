import t from 'tap'
import { onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { send } from './connection.ts'
import { isProblem } from './problems.ts'
import { HOUR, startScene } from './scene.ts'

onEveryEngine(t, 'alive, ready, and what somebody on call looks at', async (t, databaseUrl) => {
  const { request, ask, at, underway, finished } = await startScene(t, { databaseUrl })
  for (const url of ['/healthz', '/readyz']) {
    const answer = await request('GET', url, { as: null })
    t.equal(answer.statusCode, 200)
    t.same(answer.json(), { status: 'ok' })
    const head = await request('HEAD', url, { as: null })
    t.same([head.statusCode, head.body], [200, ''])
  }
  const calm = {
    caller: { name: 'booking', operator: false, readOnly: false },
    accepting: true,
    acceptingWhy: null,
    failedLastDay: 0,
    pauses: [],
    notifications: { pending: 0, failed: 0, failing: [] },
    webhook: { lastAt: null, lastRefusedAt: null },
  }
  const idle = { ...calm, calls: { state: 'ok', since: null, why: null, until: null, budgetLeft: 900 } }
  const nothing = { pending: 0, overdue: 0, oldestOverdue: null }
  t.same((await request('GET', '/status')).json(), { ...idle, ...nothing })
  await finished('cancelled')
  await ask()
  await ask({ dueAt: at(2 * HOUR) })
  const caller = { ...calm.caller, name: 'billing' }
  const others = (await request('GET', '/status', { as: 'billing' })).json()
  t.same(others, { ...idle, ...nothing, caller, pending: 2 })
  await underway()
  const { calls, ...backlog } = (await request('GET', '/status')).json()
  t.same(backlog, { ...calm, pending: 3, overdue: 1, oldestOverdue: at(0) })
  t.match(calls, { state: 'ok', budgetLeft: 899 })
})

t.test('the service stays ready while Digital Samba refuses it', async (t) => {
  const { request, sandbox, ask, at } = await startScene(t)
  sandbox.setCredentials({ developerKey: 'another' })
  await ask({ dueAt: at(0) })
  await until(async () => (await request('GET', '/status')).json().calls.state === 'refused')
  const { accepting, calls } = (await request('GET', '/status')).json()
  t.equal(accepting, true)
  t.match(calls, { since: at(0), why: String })
  t.equal((await request('GET', '/readyz')).statusCode, 200)
})

const ANSWERS: [method: string, url: string, status: number][] = [
  ['GET', '/healthz', 200],
  ['GET', '/status', 200],
  ['GET', '/v1/endings', 200],
  ['POST', '/v1/rooms/abc/end', 202],
  ['GET', '/nothing-here', 404],
  ['DELETE', '/v1/endings', 405],
  ['POST', '/v1/endings', 422],
]

t.test('every answer has safe headers and an id', async (t) => {
  const { request } = await startScene(t)
  for (const [method, url, status] of ANSWERS) {
    const { statusCode, headers } = await request(method, url)
    t.equal(statusCode, status)
    t.match(headers, {
      'x-request-id': /^[0-9a-f-]{36}$/,
      'x-content-type-options': 'nosniff',
      'strict-transport-security': /max-age=\d+/,
      'x-frame-options': 'DENY',
    })
    t.equal(headers['x-powered-by'], undefined)
    t.equal(headers.server, undefined)
  }
})

const SANE = ['a', 'edb7a1cb-0627-44ed-9ae4-62a344d6e8a9', 'A.b_c:d-9', 'x'.repeat(128)]
const INSANE = [
  '',
  ' ',
  'a b',
  'a\nb',
  'a\r\nset-cookie: x=y',
  'ü',
  '<b>',
  '"',
  'a,b',
  'x'.repeat(129),
  'x'.repeat(200),
]

t.test('a sane request id comes back, any other is replaced', async (t) => {
  const { request } = await startScene(t)
  for (const url of ['/healthz', '/nothing-here', '/v1/endings/abc%']) {
    const idFor = async (id: string) =>
      (await request('GET', url, { headers: { 'x-request-id': id } })).headers['x-request-id']
    for (const id of SANE) t.equal(await idFor(id), id)
    for (const id of INSANE) t.match(await idFor(id), /^[0-9a-f-]{36}$/, JSON.stringify(id).slice(0, 40))
  }
  const ids = await Promise.all(Array.from({ length: 100 }, () => request('GET', '/healthz')))
  t.equal(new Set(ids.map(({ headers }) => headers['x-request-id'])).size, 100, 'each its own')
})

t.test('while it shuts down it finishes what it has begun, and sends everybody else elsewhere', async (t) => {
  const { app, clock, underway, close } = await startScene(t, { env: { SHUTDOWN_GRACE: '10s' } })
  await app.listen({ port: 0, host: '127.0.0.1' })
  await underway()
  const closing = close()
  const ask = (line: string) => send(app, `${line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  await until(async () => (await ask('GET /healthz'))[0]?.statusCode === 503)
  for (const line of [
    'GET /healthz',
    'GET /readyz',
    'GET /v1/endings',
    'POST /v1/rooms/abc/end',
    'GET /nothing',
  ]) {
    const [answer, ...more] = await ask(line)
    if (!answer) return t.fail(`${line} is not answered`)
    isProblem(t, answer, 503, 'shutting-down')
    t.match(answer.headers, { 'retry-after': /^\d+$/, connection: 'close' })
    t.same(more, [])
  }
  await clock.advance(10_000)
  await closing
  t.notOk(app.server.listening)
})
