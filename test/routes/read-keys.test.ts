import { randomUUID } from 'node:crypto'
import t from 'tap'
import { hashedForm } from '../../src/config/keys.ts'
import { KEYS } from '../helper/service.ts'
import { isProblem } from './problems.ts'
import { startScene } from './scene.ts'

const READER = 'reader-key-00000000000000'
const as = (key: string) => ({ as: null, headers: { authorization: `Bearer ${key}` } })

t.test('a key in READ_KEYS reads everything and changes nothing', async (t) => {
  const { request, ask, ending, sandbox } = await startScene(t, { env: { READ_KEYS: `wall:${READER}` } })
  const { id } = await ask({ target: { room: 'some-room' } })
  const before = await ending(id)
  const session = sandbox.startSession({ room: sandbox.createRoom().id }).id
  const reads = [
    '/status',
    '/v1/endings',
    `/v1/endings/${id}`,
    '/v1/holds',
    '/v1/sessions?live=true',
    `/v1/sessions/${session}`,
  ]
  for (const url of reads) t.equal((await request('GET', url, as(READER))).statusCode, 200, url)
  t.equal((await request('HEAD', '/v1/endings', as(READER))).statusCode, 200)
  const changes = [
    ['POST', '/v1/endings', { target: { room: 'abc' } }],
    ['POST', `/v1/sessions/${session}/end`, {}],
    ['POST', '/v1/rooms/abc/end', {}],
    ['PATCH', `/v1/endings/${id}`, { extendMinutes: 1 }],
    ['POST', `/v1/endings/${id}/cancel`, undefined],
    ['POST', `/v1/endings/${id}/retry`, undefined],
    ['PUT', '/v1/time-limits/abc', { maxMinutes: 10 }],
    ['DELETE', '/v1/time-limits/abc', undefined],
    ['DELETE', `/v1/holds/${randomUUID()}`, undefined],
    ['POST', '/v1/events', { specversion: '1.0' }],
  ] as const
  for (const [method, url, body] of changes)
    await t.test(`${method} ${url}`, async (t) => {
      const { detail } = isProblem(t, await request(method, url, { ...as(READER), body }), 403, 'forbidden')
      t.equal(detail, 'the key of wall may only read: it stands in READ_KEYS')
    })
  t.same(await ending(id), before)
  t.equal((await request('GET', '/v1/endings')).json().data.length, 1, 'nothing was made')
  t.ok(sandbox.liveSessions().some((live) => live.id === session))
})

t.test('a key that the configuration has as its SHA-256 is the key, and its SHA-256 is none', async (t) => {
  const hashed = hashedForm(KEYS.booking)
  const { request } = await startScene(t, {
    env: { API_KEYS: `booking:${hashed}`, OPERATOR_KEYS: `ops:${hashedForm(KEYS.ops)}` },
  })
  t.equal((await request('GET', '/status')).statusCode, 200)
  const made = await request('POST', '/v1/endings', { body: { target: { room: 'abc' } } })
  t.equal(made.json().requestedBy, 'booking')
  t.equal((await request('GET', '/status', { as: 'ops' })).statusCode, 200)
  for (const wrong of [hashed, hashed.slice('sha256:'.length), KEYS.billing])
    isProblem(t, await request('GET', '/status', as(wrong)), 401, 'unauthorized')
})
