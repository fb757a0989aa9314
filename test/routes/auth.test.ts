import { randomUUID } from 'node:crypto'
import t from 'tap'
import { readConfig } from '../../src/plugins/environment.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { environment, KEYS, startService } from '../helper/service.ts'
import { isProblem } from './problems.ts'

const ID = 'edb7a1cb-0627-44ed-9ae4-62a344d6e8a9'
const PROTECTED = [
  ['POST', `/v1/sessions/${ID}/end`],
  ['POST', '/v1/rooms/abc/end'],
  ['POST', '/v1/endings'],
  ['GET', '/v1/endings'],
  ['HEAD', '/v1/endings'],
  ['GET', `/v1/endings/${ID}`],
  ['PATCH', `/v1/endings/${ID}`],
  ['POST', `/v1/endings/${ID}/cancel`],
  ['POST', `/v1/endings/${ID}/retry`],
  ['GET', '/status'],
] as const
const OPEN = ['/healthz', '/readyz']

const MISSING = 'Bearer realm="curfew"'
const WRONG = 'Bearer realm="curfew", error="invalid_token"'
const CREDENTIALS: [what: string, authorization: string | undefined, challenge: string][] = [
  ['none', undefined, MISSING],
  ['an empty header', '', MISSING],
  ['no key', 'Bearer', MISSING],
  ['a blank for a key', 'Bearer  ', MISSING],
  ['another scheme', `Basic ${btoa(`booking:${KEYS.booking}`)}`, MISSING],
  ['no scheme', KEYS.booking, MISSING],
  ['the scheme run together', `Bearer${KEYS.booking}`, MISSING],
  ['two keys', `Bearer ${KEYS.booking} ${KEYS.booking}`, MISSING],
  ['a key in quotes', `Bearer "${KEYS.booking}"`, MISSING],
  ['a key with its name', `Bearer booking:${KEYS.booking}`, MISSING],
  ['an unknown key', `Bearer ${'x'.repeat(24)}`, WRONG],
  ['a key cut short', `Bearer ${KEYS.booking.slice(0, -1)}`, WRONG],
  ['a key and more', `Bearer ${KEYS.booking}0`, WRONG],
  ['a key in another case', `Bearer ${KEYS.booking.toUpperCase()}`, WRONG],
  ['a very long key', `Bearer ${'x'.repeat(8000)}`, WRONG],
]

t.test('every route but the open ones needs a key that is known', async (t) => {
  const clock = new ManualClock()
  const { request, sandbox } = await startService(t, { clock })
  for (const [method, url] of PROTECTED) {
    // As many wrong ones in one minute would be answered otherwise.
    await clock.advance(60_000)
    for (const [what, authorization, challenge] of CREDENTIALS)
      await t.test(`${method} ${url} with ${what}`, async (t) => {
        const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
        const answer = await request(method, url, { as: null, headers })
        t.equal(answer.headers['www-authenticate'], challenge)
        if (method === 'HEAD') return t.equal(answer.statusCode, 401)
        const { detail } = isProblem(t, answer, 401, 'unauthorized')
        t.notOk(detail.includes(KEYS.booking), 'repeats no key')
      })
  }
  for (const url of OPEN) {
    t.equal((await request('GET', url, { as: null })).statusCode, 200)
    t.equal((await request('GET', url, { as: null, headers: { authorization: 'Bearer x' } })).statusCode, 200)
  }
  t.same((await request('GET', '/v1/endings')).json().data, [])
  t.same(sandbox.calls, [])
})

t.test('who is not known learns nothing about what is wrong besides', async (t) => {
  const { request } = await startService(t, { clock: new ManualClock() })
  const cases = [
    ['POST', '/v1/endings', '{"target":', 'application/json'],
    ['POST', '/v1/endings', 'x'.repeat(70_000), 'application/json'],
    ['POST', '/v1/endings', 'x', 'text/plain'],
    ['POST', '/v1/sessions/abc/end', '{}', 'application/json'],
    ['GET', '/v1/endings?nonsense=1', undefined, undefined],
  ] as const
  for (const [method, url, body, type] of cases) {
    const headers: Record<string, string> = type ? { 'content-type': type } : {}
    isProblem(t, await request(method, url, { as: null, body, headers }), 401, 'unauthorized')
  }
})

t.test('the scheme has no case, and a caller may have several keys while it changes them', async (t) => {
  const next = 'booking-key-1111111111111'
  const env = { API_KEYS: `booking:${KEYS.booking},booking:${next},billing:${KEYS.billing}` }
  const { request } = await startService(t, { clock: new ManualClock(), env })
  for (const authorization of [`bearer ${next}`, `BEARER ${next}`, `Bearer   ${KEYS.booking}`]) {
    const url = `/v1/sessions/${randomUUID()}/end`
    const body = { dueAt: '2026-11-23T13:00:00Z', key: 'k' }
    const answer = await request('POST', url, { as: null, headers: { authorization }, body })
    t.equal(answer.statusCode, 202)
    t.equal(answer.json().requestedBy, 'booking')
  }
  const { data } = (await request('GET', '/v1/endings')).json()
  t.equal(data.length, 1, 'both keys are the same caller, whose ending was replaced')
  const headers = { authorization: `Bearer ${next}` }
  const cancelled = await request('POST', `/v1/endings/${data[0].id}/cancel`, { as: null, headers })
  t.equal(cancelled.statusCode, 200, 'which may change with one what it made with the other')
})

const CONFIGS: [what: string, env: Record<string, string>, problem: RegExp][] = [
  ['the name curfew', { API_KEYS: `curfew:${KEYS.booking}` }, /must not use the name curfew/],
  ['an operator curfew', { OPERATOR_KEYS: `curfew:${KEYS.ops}` }, /must not use the name curfew/],
  ['one key for two', { API_KEYS: `a:${KEYS.booking},b:${KEYS.booking}` }, /same key/],
  ['a caller as operator', { OPERATOR_KEYS: `booking:${KEYS.ops}` }, /must not use the name booking/],
  ['a short key', { API_KEYS: `booking:${'x'.repeat(23)}` }, /^API_KEYS/],
  ['a key without a name', { API_KEYS: KEYS.booking }, /^API_KEYS/],
  ['a name with capitals', { API_KEYS: `Booking:${KEYS.booking}` }, /^API_KEYS/],
  ['no keys at all', { API_KEYS: '' }, /^API_KEYS/],
]

t.test('keys that would be ambiguous or weak stop the start', async (t) => {
  const { sandbox, databaseUrl } = await startService(t)
  for (const [what, env, problem] of CONFIGS) {
    const reading = readConfig(environment(sandbox, databaseUrl, env), '/nonexistent')
    await t.rejects(reading, { code: 'BAD_CONFIG', message: problem }, what)
    const message = await reading.catch((error: Error) => error.message)
    t.notMatch(message, /0{8}|x{8}/, 'no line repeats a key')
  }
})
