import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { newId } from '../../src/storage/engine/ids.ts'
import { event, post } from '../events/messages.ts'
import { EVENT_SECRETS, signatureOf } from '../events/signing.ts'
import { onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { isProblem } from './problems.ts'
import { HOUR, type Scene, startScene } from './scene.ts'

const MIB = 1024 * 1024

t.test('a request may name a thousand targets in all its events', async (t) => {
  const scene = await startScene(t)
  const suspended = (account: string, targets: number) =>
    event('billing.suspended', {
      account,
      graceSeconds: 3600,
      targets: Array(targets).fill({ roomId: 'abc' }),
    })
  const five = ['a', 'b', 'c', 'd', 'e'].map((account) => suspended(account, 200))
  const refused = await post(scene, [...five, suspended('f', 1)])
  isProblem(t, refused, 422, 'invalid', [''])
  t.match(refused.json().detail, /at most 1000 targets in all its events, not 1001/)
  t.equal((await scene.app.ledger.backlog()).pending, 0)
  t.equal((await post(scene, five)).statusCode, 202)
  t.equal((await scene.app.ledger.backlog()).pending, 1000)
})

t.test('as many may wait as there is room for: half of them of one caller', async (t) => {
  const scene = await startScene(t)
  const ask = (as: 'booking' | 'billing') =>
    scene.request('POST', '/v1/rooms/abc/end', {
      as,
      body: { dueAt: scene.at(HOUR) },
      headers: { prefer: 'wait=30' },
    })
  const waiting = Array.from({ length: 250 }, () => ask('booking'))
  await until(() => scene.app.waiting.count === 250)
  const { statusCode, headers } = await ask('booking')
  t.equal(statusCode, 202)
  t.equal(headers['preference-applied'], undefined, 'at once')
  const others = Array.from({ length: 250 }, () => ask('billing'))
  await until(() => scene.app.waiting.count === 500)
  t.equal((await ask('billing')).headers['preference-applied'], undefined)
  await scene.clock.advance(30_000)
  for (const answer of await Promise.all([...waiting, ...others]))
    if (answer.statusCode !== 202 || !answer.headers['preference-applied']) t.fail(answer.body)
  t.equal(scene.app.waiting.count, 0)
})

t.test('nonsense is answered with less than it was', async (t) => {
  const scene = await startScene(t)
  const fields = Object.fromEntries(Array.from({ length: 4600 }, (_, i) => [`x${i}`, [{}]]))
  const nonsense = await scene.request('POST', '/v1/rooms/abc/end', { body: fields })
  isProblem(t, nonsense, 422, 'invalid', [''])
  t.ok(nonsense.body.length < 8192, `${nonsense.body.length} bytes`)
  const wrong = Array(100_000).fill({ x: 1 })
  const answer = await post(scene, event('billing.suspended', { account: 'a', targets: wrong }))
  isProblem(t, answer, 422, 'invalid', ['/0'])
  const deep = await post(scene, `${'['.repeat(MIB / 2)}${']'.repeat(MIB / 2)}`)
  isProblem(t, deep, 422, 'invalid', ['/0/0/0'])
})

/** Sends the head of a signed event and as much of its body; the status of what comes back. */
async function stranger(t: Test, port: number, headers: Record<string, string>, body = ''): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  const lines = Object.entries({
    host: 'x',
    'content-type': 'application/cloudevents+json',
    'content-length': String(MIB),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}`)
  socket.write(`POST /v1/events HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`)
  const [chunk] = await once(socket, 'data')
  return String(chunk).split(' ')[1] as string
}

async function listening(t: Test, env: Record<string, string> = {}) {
  const scene = await startScene(t, { env })
  return new URL(await scene.app.listen({ port: 0, host: '127.0.0.1' })).port as unknown as number
}

t.test('who cannot have signed is refused before the body is there', async (t) => {
  const signed = signatureOf('{}')
  t.equal(await stranger(t, await listening(t), signed), '401', 'no secrets are configured')
  const port = await listening(t, { EVENT_SECRETS })
  t.equal(await stranger(t, port, { ...signed, 'webhook-signature': 'v1,x' }), '401', 'no signature')
  t.equal(await stranger(t, port, { ...signed, 'webhook-timestamp': '1' }), '401', 'long ago')
})

t.test('who has not proved to have signed may keep few bodies here', async (t) => {
  const port = await listening(t, { EVENT_SECRETS })
  const forged = { ...signatureOf('{}'), 'webhook-signature': `v1,${'A'.repeat(43)}=` }
  // Eight of a mebibyte each are all that there is room for.
  const others = await Promise.all(Array.from({ length: 20 }, () => stranger(t, port, forged, 'x')))
  const count = (status: string) => others.filter((one) => one === status).length
  t.same([count('503'), count('408')], [12, 8], 'and those are not waited for')
})

t.test('a key is not held up by strangers', async (t) => {
  const port = await listening(t, { EVENT_SECRETS })
  const forged = { ...signatureOf('{}'), 'webhook-signature': `v1,${'A'.repeat(43)}=` }
  const held = Array.from({ length: 20 }, () => stranger(t, port, forged, 'x'))
  await Promise.race(held)
  const key = { authorization: 'Bearer booking-key-0000000000000', 'content-length': '2' }
  t.equal(await stranger(t, port, key, '{}'), '422')
  await Promise.all(held)
})

/** As many holds or rules as a caller may have, past the service. */
async function fill({ app, now }: Scene, table: 'holds' | 'time_limits', count: number): Promise<void> {
  const { db } = app.database
  const hold = { room_kind: 'room', by_id: 0, from_at: now, until_at: now + HOUR, reason: 'r' } as const
  const none = { subject: null, ending_id: null, lifted_at: null, lifted_by: null }
  for (let done = 0; done < count; done += 500) {
    const names = Array.from({ length: 500 }, (_, i) => `full-${done + i}`)
    const by = { requested_by: 'booking', created_at: now }
    if (table === 'holds') {
      const rows = names.map((room) => ({ id: newId(now), room, ...by, ...hold, ...none }))
      await db.insertInto('holds').values(rows).execute()
    } else {
      const rule = { by_id: 0, max_minutes: 600, warn_minutes: null, updated_at: now }
      await db
        .insertInto('time_limits')
        .values(names.map((room) => ({ room, ...by, ...rule })))
        .execute()
    }
  }
}

onEveryEngine(
  t,
  'a caller keeps so many rooms closed, has so many rules, and no more',
  async (t, databaseUrl) => {
    const scene = await startScene(t, { databaseUrl })
    const { request, at } = scene
    const closing = () => ({ target: { room: 'one-more' }, dueAt: at(HOUR), holdUntil: at(2 * HOUR) })
    await fill(scene, 'holds', 10_000)
    const refused = await request('POST', '/v1/endings', { body: closing() })
    isProblem(t, refused, 409, 'too-many')
    t.match(refused.json().detail, /booking keeps 10000 rooms closed already/)
    t.equal((await scene.app.ledger.backlog()).pending, 0, 'nor is its ending stored')
    t.equal((await request('POST', '/v1/endings', { as: 'billing', body: closing() })).statusCode, 202)

    await fill(scene, 'time_limits', 10_000)
    const rule = await request('PUT', '/v1/time-limits/one-more', { body: { maxMinutes: 5 } })
    isProblem(t, rule, 409, 'too-many')
    const changed = await request('PUT', '/v1/time-limits/full-1', { body: { maxMinutes: 5 } })
    t.equal(changed.statusCode, 200, 'one that is there may be changed')
    const other = await request('PUT', '/v1/time-limits/one-more', { as: 'billing', body: { maxMinutes: 5 } })
    t.equal(other.statusCode, 201)
  },
)
