import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { Ending } from '../../src/routes/ending-schemas.ts'
import { onEveryEngine } from '../helper/engines.ts'
import { KEYS, until } from '../helper/service.ts'
import { HOUR, type Scene, startScene } from './scene.ts'

const listed = async ({ request }: Scene): Promise<Ending[]> =>
  (await request('GET', '/v1/endings')).json().data

/** Sends a request that waits, and says when it is answered. */
function waiting({ request }: Scene, prefer: string, body: object = {}) {
  const sent = { answered: false, answer: undefined as unknown as ReturnType<Scene['request']> }
  sent.answer = request('POST', '/v1/endings', { body, headers: { prefer } }).finally(() => {
    sent.answered = true
  })
  return sent
}

/** Until the request waits. */
const asleep = ({ app }: Scene) => until(() => app.waiting.count === 1)

onEveryEngine(t, 'who prefers to wait is answered 200 when it is over', async (t, databaseUrl) => {
  const { request, sandbox, ending } = await startScene(t, { databaseUrl })
  const headers = { prefer: 'wait=10' }
  const room = sandbox.createRoom({ friendlyUrl: 'abc' })
  const session = sandbox.startSession({ room: room.id })
  const cases = [
    [`/v1/sessions/${session.id}/end`, { state: 'ended', outcome: 'ended', attempt: 1 }],
    [`/v1/sessions/${session.id}/end`, { state: 'ended', outcome: 'already_ended' }],
    ['/v1/rooms/abc/end', { state: 'ended', outcome: 'nothing_live' }],
    ['/v1/rooms/nobody-knows/end', { state: 'failed', failure: 'room_not_found' }],
    [`/v1/sessions/${randomUUID()}/end`, { state: 'failed', failure: 'session_not_found' }],
  ] as const
  for (const [url, over] of cases) {
    const answer = await request('POST', url, { headers })
    t.equal(answer.statusCode, 200)
    t.equal(answer.headers['preference-applied'], 'wait=10')
    t.match(answer.json(), { ...over, nextAttemptAt: null, finishedAt: String })
    t.equal(answer.headers.location, `/v1/endings/${answer.json().id}`)
    t.match(await ending(answer.json().id), over)
  }
})

t.test('one that becomes due while its caller waits', async (t) => {
  const scene = await startScene(t)
  const { clock, sandbox, at, now } = scene
  const session = sandbox.startSession({ room: sandbox.createRoom().id })
  const sent = waiting(scene, 'wait=10', { target: { session: session.id }, dueAt: at(5000) })
  await until(async () => (await listed(scene)).length === 1)
  await asleep(scene)
  await clock.advanceTo(now + 4999)
  t.equal(sent.answered, false)
  await clock.advanceTo(now + 5000)
  const answer = await sent.answer
  t.equal(answer.statusCode, 200)
  t.match(answer.json(), { state: 'ended', outcome: 'ended', finishedAt: at(5000) })
})

for (const [prefer, seconds] of [
  ['wait=3', 3],
  ['wait=30', 30],
  ['wait=31', 30],
  ['wait=999999999', 30],
] as const)
  t.test(`${prefer} is answered 202 after ${seconds} s where it is not over by then`, async (t) => {
    const scene = await startScene(t)
    const { clock, at, now } = scene
    const sent = waiting(scene, prefer, { target: { room: 'abc' }, dueAt: at(HOUR) })
    await until(async () => (await listed(scene)).length === 1)
    await asleep(scene)
    await clock.advanceTo(now + seconds * 1000 - 1)
    await asleep(scene)
    t.equal(sent.answered, false)
    await clock.advanceTo(now + seconds * 1000)
    const answer = await sent.answer
    t.equal(answer.statusCode, 202)
    t.equal(answer.headers['preference-applied'], `wait=${seconds}`)
    t.match(answer.json(), { state: 'pending', dueAt: at(HOUR) })
  })

t.test('one that is taken back while its caller waits', async (t) => {
  const scene = await startScene(t)
  const sent = waiting(scene, 'wait=10', { target: { room: 'abc' }, dueAt: scene.at(HOUR) })
  await until(async () => (await listed(scene)).length === 1)
  await asleep(scene)
  const [{ id }] = (await listed(scene)) as [Ending]
  await scene.request('POST', `/v1/endings/${id}/cancel`)
  const answer = await sent.answer
  t.equal(answer.statusCode, 200)
  t.match(answer.json(), { id, state: 'cancelled' })
})

const UNDERSTOOD = [
  'WAIT=7',
  'wait = 7',
  'respond-async, wait=7',
  'wait="7"',
  'wait=7; a=b',
  'a;b=c,  wait=7 , d',
]
const IGNORED = [
  '',
  'wait',
  'wait=',
  'wait=x',
  'wait=-1',
  'wait=1.5',
  'wait=0',
  'wait=7s',
  'await=7',
  'return=minimal',
  '=',
]

t.test('a preference is no demand: what is not understood is ignored', async (t) => {
  const { request, finished } = await startScene(t)
  await finished('ended')
  const body = { target: { room: 'abc' } }
  for (const prefer of UNDERSTOOD) {
    const answer = await request('POST', '/v1/endings', { body, headers: { prefer } })
    t.equal(answer.headers['preference-applied'], 'wait=7', prefer)
    t.equal(answer.statusCode, 200)
  }
  for (const prefer of IGNORED) {
    const answer = await request('POST', '/v1/endings', { body, headers: { prefer } })
    t.equal(answer.headers['preference-applied'], undefined, prefer)
    t.equal(answer.statusCode, 202)
  }
})

t.test('a repeat of what is over by now is answered 200 at once', async (t) => {
  const { request, ending } = await startScene(t)
  const send = (headers: object) =>
    request('POST', '/v1/rooms/abc/end', { headers: { 'idempotency-key': 'k', ...headers } })
  const { id } = (await send({})).json()
  await until(async () => (await ending(id)).state !== 'pending')
  const again = await send({ prefer: 'wait=10' })
  t.equal(again.statusCode, 200)
  t.equal(again.headers['idempotency-replayed'], 'true')
  t.match(again.json(), { id, state: 'failed' })
})

t.test('who hangs up while waiting takes nothing back', async (t) => {
  const scene = await startScene(t)
  const { app, clock, sandbox, at, now } = scene
  const session = sandbox.startSession({ room: sandbox.createRoom().id })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const hangUp = new AbortController()
  const sent = fetch(`${address}/v1/endings`, {
    method: 'POST',
    signal: hangUp.signal,
    headers: {
      authorization: `Bearer ${KEYS.booking}`,
      'content-type': 'application/json',
      prefer: 'wait=30',
    },
    body: JSON.stringify({ target: { session: session.id }, dueAt: at(5000) }),
  })
  await until(async () => (await listed(scene)).length === 1)
  await asleep(scene)
  hangUp.abort()
  await t.rejects(sent, { name: 'AbortError' })
  await clock.advanceTo(now + 5000)
  await until(() => !session.live)
  await until(async () => (await listed(scene))[0]?.state === 'ended')
  t.pass('it is ended all the same')
})
