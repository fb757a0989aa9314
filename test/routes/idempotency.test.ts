import { randomUUID } from 'node:crypto'
import t from 'tap'
import { onEveryEngine } from '../helper/engines.ts'
import { query } from '../helper/postgres.ts'
import { isProblem } from './problems.ts'
import { HOUR, type Scene, startScene } from './scene.ts'

const DAY = 24 * HOUR
const key = (name: string) => ({ 'idempotency-key': name })
const count = async ({ request }: Scene) => (await request('GET', '/v1/endings?limit=200')).json().data.length

onEveryEngine(t, 'a repeat answers with the ending that the first request made', async (t, databaseUrl) => {
  const scene = await startScene(t, { databaseUrl })
  const { request, at } = scene
  const body = { target: { session: randomUUID() }, dueAt: at(HOUR), metadata: { a: 1 } }
  const first = await request('POST', '/v1/endings', { body, headers: key('"one"') })
  t.equal(first.headers['idempotency-replayed'], undefined)
  for (let again = 0; again < 3; again += 1) {
    const answer = await request('POST', '/v1/endings', { body, headers: key('"one"') })
    t.equal(answer.statusCode, 202)
    t.equal(answer.headers['idempotency-replayed'], 'true')
    t.equal(answer.headers.location, first.headers.location)
    t.same(answer.json(), first.json())
  }
  await request('POST', `/v1/endings/${first.json().id}/cancel`)
  const late = await request('POST', '/v1/endings', { body, headers: key('"one"') })
  t.match(late.json(), { id: first.json().id, state: 'cancelled' }, 'as it is by now')
  t.equal(await count(scene), 1)
})

onEveryEngine(t, 'another request under the same key is refused', async (t, databaseUrl) => {
  const scene = await startScene(t, { databaseUrl })
  const { request, at } = scene
  const url = `/v1/sessions/${randomUUID()}/end`
  const dueAt = at(HOUR)
  const { id } = (await request('POST', url, { body: { dueAt }, headers: key('k') })).json()
  const others = [
    ['POST', url, { dueAt: at(HOUR + 1) }],
    ['POST', url, { dueAt, reason: 'requested' }],
    ['POST', url, {}],
    ['POST', url, undefined],
    ['POST', `/v1/sessions/${randomUUID()}/end`, { dueAt }],
    ['POST', '/v1/rooms/abc/end', { dueAt }],
    ['PATCH', `/v1/endings/${id}`, { dueAt }],
    ['POST', `/v1/endings/${id}/cancel`, undefined],
    ['POST', `/v1/endings/${id}/retry`, undefined],
  ] as const
  for (const [method, url, body] of others) {
    const answer = await request(method, url, { body, headers: key('k') })
    isProblem(t, answer, 422, 'idempotency-mismatch')
  }
  t.equal(await count(scene), 1)
  t.match(await scene.ending(id), { state: 'pending', dueAt })
  t.equal((await request('POST', url, { body: {}, headers: key('K') })).statusCode, 202, 'keys have case')
  const theirs = await request('POST', url, { body: { dueAt }, headers: key('k'), as: 'billing' })
  t.equal(theirs.headers['idempotency-replayed'], undefined, 'each caller has its own keys')
  t.match(theirs.json(), { requestedBy: 'billing' })
  t.equal(await count(scene), 3)
})

onEveryEngine(t, 'a key is remembered for 24 hours', async (t, databaseUrl, engine) => {
  const scene = await startScene(t, { databaseUrl })
  const { request, clock } = scene
  const url = `/v1/sessions/${randomUUID()}/end`
  const send = async (body = { dueAt: scene.at(30 * DAY) }) =>
    request('POST', url, { body, headers: key('k') })
  // PostgreSQL tells its own time, so there the key is made older instead.
  const age = async (ms: number) =>
    engine === 'sqlite'
      ? clock.jumpTo(clock.now() + ms)
      : query(databaseUrl, `update idempotency_keys set created_at = created_at - ${ms}`)
  const first = await send()
  await age(DAY - 1)
  t.equal((await send()).json().id, first.json().id)
  isProblem(t, await send({ dueAt: scene.at(31 * DAY) }), 422, 'idempotency-mismatch')
  await age(1)
  const second = await send({ dueAt: scene.at(31 * DAY) })
  t.equal(second.statusCode, 202)
  t.not(second.json().id, first.json().id)
  await age(DAY - 1)
  const repeated = await send({ dueAt: scene.at(31 * DAY) })
  t.equal(repeated.json().id, second.json().id, 'and from then for 24 hours again')
})

onEveryEngine(t, 'twenty at once make one ending', async (t, databaseUrl) => {
  const scene = await startScene(t, { databaseUrl })
  const url = `/v1/sessions/${randomUUID()}/end`
  const body = { dueAt: scene.at(HOUR) }
  const send = () => scene.request('POST', url, { body, headers: key('k') })
  const answers = await Promise.all(Array.from({ length: 20 }, send))
  t.same([...new Set(answers.map(({ statusCode }) => statusCode))], [202])
  t.equal(new Set(answers.map((answer) => answer.json().id)).size, 1)
  t.equal(answers.filter(({ headers }) => headers['idempotency-replayed'] === 'true').length, 19)
  t.equal(await count(scene), 1)
})

onEveryEngine(t, 'what was refused leaves no trace of its key', async (t, databaseUrl) => {
  const scene = await startScene(t, { databaseUrl })
  const { request, ask, underway, finished, at } = scene
  const theirs = await ask({}, { as: 'billing' })
  await underway({ key: 'busy' })
  const over = await finished('cancelled')
  const refused = [
    ['POST', '/v1/endings', { target: {} }, 422],
    ['POST', '/v1/endings', { target: { room: 'abc' }, dueAt: '2999-01-01T00:00:00Z' }, 422],
    ['POST', '/v1/endings', { target: { room: 'abc' }, key: 'busy' }, 409],
    ['PATCH', `/v1/endings/${randomUUID()}`, { dueAt: at(HOUR) }, 404],
    ['POST', `/v1/endings/${theirs.id}/cancel`, undefined, 403],
    ['POST', `/v1/endings/${over.id}/cancel`, undefined, 409],
    ['POST', `/v1/endings/${over.id}/retry`, undefined, 409],
  ] as const
  for (const [method, url, body, status] of refused) {
    const headers = key('k')
    for (const message of ['refused', 'the same once more']) {
      const answer = await scene.inTime(request(method, url, { body, headers }))
      t.equal(answer.statusCode, status, message)
    }
  }
  const body = { target: { room: 'abc' }, dueAt: at(HOUR) }
  const mended = await request('POST', '/v1/endings', { body, headers: key('k') })
  t.equal(mended.statusCode, 202)
  t.equal(mended.headers['idempotency-replayed'], undefined)
})

onEveryEngine(t, 'changes are replayed too', async (t, databaseUrl) => {
  const { request, ask, at, finished } = await startScene(t, { databaseUrl })
  const { id } = await ask()
  const failed = await finished('failed')
  const changes = [
    ['PATCH', `/v1/endings/${id}`, { dueAt: at(2 * HOUR) }, 'move', { dueAt: at(2 * HOUR) }],
    ['POST', `/v1/endings/${id}/cancel`, undefined, 'cancel', { state: 'cancelled' }],
    ['POST', `/v1/endings/${failed.id}/retry`, undefined, 'retry', { id: failed.id }],
  ] as const
  for (const [method, url, body, name, shown] of changes)
    for (const replayed of [undefined, 'true', 'true']) {
      const answer = await request(method, url, { body, headers: key(name) })
      t.equal(answer.statusCode, 200, name)
      t.equal(answer.headers['idempotency-replayed'], replayed)
      t.match(answer.json(), shown)
    }
  const empty = await request('POST', `/v1/endings/${id}/cancel`, { body: {}, headers: key('cancel') })
  t.equal(empty.headers['idempotency-replayed'], 'true', 'no body and an empty object are the same')
  isProblem(t, await request('POST', `/v1/endings/${id}/cancel`), 409, 'not-pending')
})
