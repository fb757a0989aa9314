import t, { type Test } from 'tap'
import { countersBy } from '../../src/plugins/counters.ts'
import { SECRETS, signatureOf } from '../events/signing.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { KEYS, startService } from '../helper/service.ts'
import { isProblem } from './problems.ts'
import { startScene } from './scene.ts'

const WRONG = { authorization: `Bearer ${'x'.repeat(24)}` }
// As in src/plugins/bounds.ts; docs/api.md says so too.
const MOST_FAILURES = 60
const EVENT = JSON.stringify({
  specversion: '1.0',
  id: 'one',
  source: '/shop',
  type: 'billing.resumed',
  data: { account: 'acme' },
})

async function start(t: Test, env: Record<string, string> = {}) {
  const heard: Array<Record<string, unknown>> = []
  const scene = await startScene(t, { env, onLog: (line) => void heard.push(line) })
  const from =
    (remoteAddress: string) =>
    async (headers: Record<string, string>, url = '/status') =>
      scene.app.inject({ method: 'GET', url, headers, remoteAddress })
  const fail = async (address: string, times: number) => {
    const statuses = []
    for (let i = 0; i < times; i += 1) statuses.push((await from(address)(WRONG)).statusCode)
    return statuses
  }
  const lines = (name: string) => heard.filter(({ msg }) => msg === name)
  return { ...scene, from, fail, lines }
}

const keyOf = (name: keyof typeof KEYS) => ({ authorization: `Bearer ${KEYS[name]}` })

t.test('a caller may make so many requests a minute, and nobody else is held up by it', async (t) => {
  const { request, clock, lines } = await start(t, { REQUESTS_PER_MINUTE: '3' })
  const body = { target: { room: 'abc' }, dueAt: new Date(clock.now() + 60_000).toISOString() }
  t.equal((await request('POST', '/v1/endings', { body })).statusCode, 202)
  t.equal((await request('GET', '/v1/endings')).statusCode, 200)
  t.equal((await request('POST', '/v1/endings', { body: { target: 7 } })).statusCode, 422, 'a mistake counts')
  await clock.advance(15_500)
  for (const [method, url] of [
    ['GET', '/status'],
    ['POST', '/v1/endings'],
    ['POST', '/v1/events'],
  ] as const) {
    const answer = await request(method, url, method === 'POST' ? { body } : {})
    const { detail } = isProblem(t, answer, 429, 'too-many-requests')
    t.match(detail, 'booking may make 3 requests a minute; ask again in 45 s')
    t.equal(answer.headers['retry-after'], '45')
    t.equal(answer.headers['x-ratelimit-limit'], undefined)
  }
  t.equal((await request('GET', '/status', { as: 'billing' })).statusCode, 200)
  t.equal((await request('GET', '/status', { as: 'ops' })).statusCode, 200)
  for (let i = 0; i < 10; i += 1) t.equal((await request('GET', '/readyz')).statusCode, 200, 'open to all')
  t.match(lines('caller.slowed'), [{ caller: 'booking', most: 3, level: 40 }], 'one line')
  await clock.advance(45_000)
  t.equal((await request('GET', '/v1/endings')).json().data.length, 1)
})

t.test('two keys of one caller are one caller', async (t) => {
  const next = 'booking-key-1111111111111'
  const env = { API_KEYS: `booking:${KEYS.booking},booking:${next}`, REQUESTS_PER_MINUTE: '2' }
  const { from } = await start(t, env)
  const ask = from('192.0.2.1')
  t.equal((await ask(keyOf('booking'))).statusCode, 200)
  t.equal((await from('192.0.2.2')({ authorization: `Bearer ${next}` })).statusCode, 200)
  t.equal((await ask(keyOf('booking'))).statusCode, 429)
})

t.test('a clock that is set back keeps nobody out', async (t) => {
  let setBackMs = 0
  const clock = new (class extends ManualClock {
    override now(): number {
      return super.now() - setBackMs
    }
  })()
  const { app } = await startService(t, { clock, env: { REQUESTS_PER_MINUTE: '1' } })
  const ask = async (headers: Record<string, string>, remoteAddress: string) =>
    (await app.inject({ method: 'GET', url: '/status', headers, remoteAddress })).statusCode
  t.equal(await ask(keyOf('booking'), '192.0.2.2'), 200)
  t.equal(await ask(keyOf('booking'), '192.0.2.2'), 429)
  for (let i = 0; i < MOST_FAILURES; i += 1) await ask(WRONG, '192.0.2.1')
  t.equal(await ask(WRONG, '192.0.2.1'), 429)
  setBackMs = 3_600_000
  t.equal(await ask(keyOf('booking'), '192.0.2.2'), 200)
  t.equal(await ask(keyOf('billing'), '192.0.2.1'), 200)
})

t.test('whoever guesses is slowed, before any key is compared', async (t) => {
  const { from, fail, clock, lines } = await start(t)
  const statuses = await fail('192.0.2.1', MOST_FAILURES + 5)
  t.same(new Set(statuses.slice(0, MOST_FAILURES)), new Set([401]))
  t.same(new Set(statuses.slice(MOST_FAILURES)), new Set([429]))
  const answer = await from('192.0.2.1')(keyOf('booking'))
  const { detail } = isProblem(t, answer, 429, 'too-many-requests')
  t.match(detail, 'from this address; ask again in 60 s')
  t.equal(answer.headers['retry-after'], '60')
  isProblem(t, await from('192.0.2.1')({}), 429, 'too-many-requests')
  t.equal((await from('192.0.2.1')({}, '/readyz')).statusCode, 200)
  t.equal((await from('192.0.2.2')(keyOf('booking'))).statusCode, 200, 'another address is another')
  t.match(lines('address.slowed'), [{ address: '192.0.2.1', level: 40 }], 'one line')
  await clock.advance(60_000)
  t.equal((await from('192.0.2.1')(keyOf('booking'))).statusCode, 200)
  t.equal((await from('192.0.2.1')(WRONG)).statusCode, 401)
})

t.test('behind one address for all, keys that were right there before still are', async (t) => {
  const { from, fail } = await start(t)
  const ask = from('192.0.2.1')
  t.equal((await ask(keyOf('booking'))).statusCode, 200)
  await fail('192.0.2.1', MOST_FAILURES + 1)
  for (let i = 0; i < 3; i += 1) t.equal((await ask(keyOf('booking'))).statusCode, 200)
  t.equal((await ask(keyOf('ops'))).statusCode, 429, 'one that nobody has used from there is not compared')
  t.equal((await ask(WRONG)).statusCode, 429)
})

t.test('somebody with a whole network of IPv6 is one address', async (t) => {
  const { from, fail } = await start(t)
  await fail('2001:db8::1', MOST_FAILURES)
  t.equal((await from('2001:db8::2')(WRONG)).statusCode, 429)
  t.equal((await from('2001:db8:0:1::2')(WRONG)).statusCode, 401)
})

t.test('signed events are counted by their sender, wrong signatures by their address', async (t) => {
  const env = { EVENT_SECRETS: `shop:${SECRETS.shop}`, REQUESTS_PER_MINUTE: '2' }
  const { app, clock } = await start(t, env)
  const send = (secret: string, remoteAddress: string) =>
    app.inject({
      method: 'POST',
      url: '/v1/events',
      headers: { 'content-type': 'application/cloudevents+json', ...signatureOf(EVENT, { secret }) },
      payload: EVENT,
      remoteAddress,
    })
  t.equal((await send(SECRETS.shop, '192.0.2.1')).statusCode, 202)
  for (let i = 0; i < MOST_FAILURES; i += 1)
    t.equal((await send(SECRETS.stranger, '192.0.2.1')).statusCode, 401)
  isProblem(t, await send(SECRETS.stranger, '192.0.2.1'), 429, 'too-many-requests')
  t.equal((await send(SECRETS.shop, '192.0.2.1')).statusCode, 202, 'nobody can guess a signature')
  const { detail } = isProblem(t, await send(SECRETS.shop, '192.0.2.2'), 429, 'too-many-requests')
  t.match(detail, 'shop may make 2 requests a minute')
  await clock.advance(60_000)
  t.equal((await send(SECRETS.shop, '192.0.2.2')).statusCode, 202)
})

t.test("Digital Samba's webhooks are counted too, and so are wrong secrets", async (t) => {
  const secret = 'webhook-secret-000000000'
  const env = { DIGITAL_SAMBA_WEBHOOK_SECRET: secret, REQUESTS_PER_MINUTE: '2' }
  const { app } = await start(t, env)
  const hook = (authorization: string, remoteAddress: string) =>
    app.inject({
      method: 'POST',
      url: '/v1/webhooks/digital-samba',
      headers: { authorization },
      payload: { eventType: 'participant_left' },
      remoteAddress,
    })
  t.equal((await hook(secret, '192.0.2.1')).statusCode, 204)
  for (let i = 0; i < MOST_FAILURES; i += 1)
    t.equal((await hook('Bearer wrong', '192.0.2.1')).statusCode, 401)
  isProblem(t, await hook('Bearer wrong', '192.0.2.1'), 429, 'too-many-requests')
  t.equal((await hook(`Bearer ${secret}`, '192.0.2.1')).statusCode, 204)
  const { detail } = isProblem(t, await hook(secret, '192.0.2.1'), 429, 'too-many-requests')
  t.match(detail, 'digital-samba may make 2 requests a minute')
})

t.test('by default it is 6000', async (t) => {
  const { request } = await startService(t, { env: { REQUESTS_PER_MINUTE: '' } })
  const statuses = new Map<number, number>()
  for (let i = 0; i < 6001; i += 1) {
    const { statusCode } = await request('GET', '/v1/holds')
    statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
  }
  t.equal(statuses.get(200), 6000)
  t.equal(statuses.get(429), 1)
})

t.test('whoever comes from ever new addresses fills no memory', async (t) => {
  const counters = new (countersBy(new ManualClock(), 2))()
  const count = (key: string) => {
    const told: Array<number | undefined> = []
    counters.incr(key, (_, counted) => void told.push(counted?.current), 60_000)
    return told[0]
  }
  t.same(['a', 'a', 'b', 'a', 'b'].map(count), [1, 2, 1, 3, 2])
  t.equal(count('c'), 1)
  t.equal(count('a'), 1, 'the oldest was forgotten')
  t.equal(count('c'), 2)
})
