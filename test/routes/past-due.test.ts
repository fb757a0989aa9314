import t from 'tap'
import { onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { isProblem } from './problems.ts'
import { HOUR, startScene } from './scene.ts'

const DAY = 24 * HOUR

onEveryEngine(
  t,
  'a time that is past is kept, and is about who had begun by then',
  async (t, databaseUrl) => {
    const { request, sandbox, ending, clock, at } = await startScene(t, { databaseUrl })
    const room = sandbox.createRoom({ friendlyUrl: 'the-room' })
    const early = sandbox.startSession({ room: room.id })
    await clock.advance(20_000)
    const late = sandbox.startSession({ room: room.id })
    await clock.advance(1000)
    const dueAt = at(10_000)
    const answer = await request('POST', '/v1/rooms/the-room/end', { body: { dueAt } })
    t.equal(answer.statusCode, 202)
    t.match(answer.json(), { dueAt, nextAttemptAt: at(21_000) }, 'as it was asked, and due at once')
    const { id } = answer.json()
    await until(async () => (await ending(id)).state === 'ended')
    t.equal(early.live, false)
    t.equal(late.live, true, 'the meeting that began since lives on')
    const receipt = (await request('GET', `/v1/endings/${id}/receipt`)).json()
    t.match(receipt, { dueAt, latenessMs: 0 }, 'late is what could have been called before')
  },
)

t.test('one that is moved into the past is late from the move on', async (t) => {
  const lines: Record<string, unknown>[] = []
  const scene = await startScene(t, { onLog: (line) => void lines.push(line) })
  const { request, sandbox, ending, clock, ask, at } = scene
  const session = sandbox.startSession({ room: sandbox.createRoom().id })
  const { id } = await ask({ target: { session: session.id } })
  await clock.advance(60_000)
  const answer = await request('PATCH', `/v1/endings/${id}`, { body: { dueAt: at(-DAY) } })
  t.match(answer.json(), { dueAt: at(-DAY), nextAttemptAt: at(60_000) })
  await until(async () => (await ending(id)).state === 'ended')
  const receipt = (await request('GET', `/v1/endings/${id}/receipt`)).json()
  t.equal(receipt.latenessMs, 0)
  const attempted = await until(() => lines.find((line) => line.msg === 'ending.attempted'))
  t.equal(attempted.latenessMs, 0)
})

t.test('more than seven days ago is a mistake, also where it is moved', async (t) => {
  const { request, ask, at } = await startScene(t)
  const { id } = await ask()
  const body = { dueAt: at(-7 * DAY - 1) }
  for (const [method, url] of [
    ['POST', '/v1/rooms/the-room/end'],
    ['PATCH', `/v1/endings/${id}`],
  ] as const) {
    const { detail } = isProblem(t, await request(method, url, { body }), 422, 'invalid', ['/dueAt'])
    t.equal(detail, '/dueAt must be at most 7 days ago')
  }
})

t.test('a hold beside a time that is past closes the room for who comes now', async (t) => {
  const scene = await startScene(t, { env: { SWEEP_INTERVAL: '1s' } })
  const { request, sandbox, clock, at } = scene
  const room = sandbox.createRoom({ friendlyUrl: 'the-room' })
  const body = { dueAt: at(-HOUR), holdUntil: at(HOUR) }
  const answer = await request('POST', '/v1/rooms/the-room/end', { body })
  t.match(answer.json(), { dueAt: at(-HOUR), holdFrom: at(-HOUR), holdUntil: at(HOUR) })
  await clock.advance(5000)
  const session = sandbox.startSession({ room: room.id })
  await until(async () => {
    await clock.advance(1000)
    return !session.live
  })
})
