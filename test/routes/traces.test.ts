import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import type { Call } from '../../src/sandbox/sandbox.ts'
import { newTraceparent, readTraceparent } from '../../src/traceparent.ts'
import { event, post, postBinary } from '../events/messages.ts'
import { onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { HOUR, startScene } from './scene.ts'

type Line = Record<string, unknown>

const traceId = (traceparent: unknown) => String(traceparent).slice(3, 35)
/** As somebody sends it who records. */
const sent = () => newTraceparent().replace(/00$/, '01')

async function startTraces(t: Test, databaseUrl: string) {
  const lines: Line[] = []
  const scene = await startScene(t, { databaseUrl, onLog: (line) => lines.push(line) })
  const { app, request, sandbox } = scene
  const kept = async (id: string) => (await app.ledger.find(id))?.traceparent
  const linesOf = (id: string) => lines.filter(({ ending }) => ending === id)
  /** What the request is told, and which trace its ending is kept with. */
  const ask = async (url: string, traceparent?: string, body: object = {}, method = 'POST') => {
    const headers = traceparent === undefined ? {} : { traceparent }
    const answer = await request(method, url, { body, headers })
    return { answer, id: answer.json().id as string, kept: await kept(answer.json().id) }
  }
  const live = () => sandbox.startSession({ room: sandbox.createRoom().id })
  const over = (id: string) => until(async () => (await scene.ending(id)).state !== 'pending')
  return { ...scene, lines, kept, linesOf, ask, live, over }
}

/** Every call is a span of its own in the trace. */
function isSpanned(t: Test, calls: readonly Call[], traceparent: string): void {
  const spans = calls.map(({ headers }) => headers?.traceparent)
  for (const span of spans) {
    t.equal(readTraceparent(span), span, 'it is a valid header')
    t.equal(traceId(span), traceId(traceparent))
    t.equal(span?.slice(-2), traceparent.slice(-2), 'the flags are as they came')
  }
  t.equal(new Set([traceparent, ...spans]).size, spans.length + 1, 'no span is used twice')
}

onEveryEngine(t, 'a trace goes from the request to every call and every line', async (t, databaseUrl) => {
  const { ask, sandbox, live, over, linesOf, lines, clock } = await startTraces(t, databaseUrl)
  const traceparent = sent()
  const session = live()
  const { answer, id, kept } = await ask(`/v1/rooms/${session.room.id}/end`, traceparent)
  t.equal(answer.statusCode, 202)
  t.equal(kept, traceparent)
  t.notMatch(answer.body, traceId(traceparent), 'it is in the log, not in the answer')
  await over(id)
  await clock.advance(6000)
  await until(() => linesOf(id).some(({ msg }) => msg === 'ending.confirmed'))
  t.same(
    sandbox.calls.map(({ operation }) => operation),
    ['room-sessions', 'end', 'session'],
    'found, ended, confirmed',
  )
  isSpanned(t, sandbox.calls, traceparent)
  const told = linesOf(id)
  t.same(
    told.map(({ msg }) => msg),
    ['ending.accepted', 'ending.attempted', 'ending.confirmed'],
  )
  for (const line of told) t.equal(line.traceparent, traceparent, String(line.msg))
  const requestId = answer.headers['x-request-id']
  t.match(
    lines.find((line) => line.msg === 'request.answered' && line.requestId === requestId),
    { traceparent, status: 202 },
  )
})

onEveryEngine(t, 'tries, judgements and retries are spans of the same trace', async (t, databaseUrl) => {
  const { ask, sandbox, live, over, linesOf, clock } = await startTraces(t, databaseUrl)
  const traceparent = sent()
  const { id: session } = live()
  sandbox.inject({ kind: 'status', status: 500, operation: 'end' })
  sandbox.inject({ kind: 'status', status: 409, operation: 'end' })
  const { id } = await ask(`/v1/sessions/${session}/end`, traceparent)
  await until(() => linesOf(id).some(({ msg }) => msg === 'ending.attempted'))
  await clock.advance(2000)
  await until(() => linesOf(id).filter(({ msg }) => msg === 'ending.attempted').length === 2)
  await clock.advance(4000)
  await over(id)
  const calls = sandbox.calls.map(({ operation, status }) => `${operation} ${status}`)
  t.same(calls.slice(0, 4), ['end 500', 'end 409', 'session 200', 'end 200'])
  isSpanned(t, sandbox.calls, traceparent)
})

onEveryEngine(t, 'where none came, each request begins a trace', async (t, databaseUrl) => {
  const { ask, sandbox, live, over, linesOf } = await startTraces(t, databaseUrl)
  const one = await ask(`/v1/sessions/${live().id}/end`)
  const other = await ask(`/v1/sessions/${live().id}/end`)
  for (const { id, kept } of [one, other]) {
    t.equal(readTraceparent(kept), kept)
    t.equal(kept?.slice(-2), '00', 'nobody is asked to record it')
    await over(id)
    t.ok(linesOf(id).every((line) => line.traceparent === kept))
  }
  t.not(traceId(one.kept), traceId(other.kept))
  const called = sandbox.calls.filter(({ operation }) => operation === 'end')
  t.same(
    called.map(({ headers }) => traceId(headers?.traceparent)).sort(),
    [one, other].map(({ kept }) => traceId(kept)).sort(),
  )
})

onEveryEngine(t, 'a header that is none is ignored', async (t, databaseUrl) => {
  const { ask, at } = await startTraces(t, databaseUrl)
  for (const wrong of ['', 'nonsense', `ff${sent().slice(2)}`, `00-${'0'.repeat(32)}-b7ad6b7169203331-01`]) {
    const body = { target: { room: 'the-room' }, dueAt: at(HOUR) }
    const { answer, kept } = await ask('/v1/endings', wrong, body)
    t.equal(answer.statusCode, 202, JSON.stringify(wrong))
    t.equal(readTraceparent(kept), kept)
    if (wrong) t.not(kept, wrong)
  }
})

onEveryEngine(t, 'an ending belongs to the request that changed it last', async (t, databaseUrl) => {
  const { ask, at, kept, linesOf, finished, request } = await startTraces(t, databaseUrl)
  const body = { target: { room: 'the-room' }, dueAt: at(HOUR), key: 'mine' }
  const { id } = await ask('/v1/endings', sent(), body)
  const changes: Array<[string, string, string, object]> = [
    ['ending.replaced', 'POST', '/v1/endings', { ...body, dueAt: at(2 * HOUR) }],
    ['ending.moved', 'PATCH', `/v1/endings/${id}`, { extendMinutes: 5 }],
    ['ending.cancelled', 'POST', `/v1/endings/${id}/cancel`, {}],
  ]
  for (const [line, method, url, changed] of changes) {
    const traceparent = sent()
    const answer = await ask(url, traceparent, changed, method)
    t.equal(answer.id, id)
    t.equal(answer.kept, traceparent, line)
    t.match(linesOf(id).at(-1), { msg: line, traceparent })
  }
  const failed = await finished('failed')
  const traceparent = sent()
  t.equal((await ask(`/v1/endings/${failed.id}/retry`, traceparent)).kept, traceparent)
  const again = { body: { ...body, key: 'other' }, headers: { 'idempotency-key': 'k', traceparent } }
  const first = (await request('POST', '/v1/endings', again)).json()
  await request('POST', '/v1/endings', { ...again, headers: { ...again.headers, traceparent: sent() } })
  t.equal(await kept(first.id), traceparent, 'a repeat changes nothing')
})

onEveryEngine(t, 'what an event says of its trace counts more than the request', async (t, databaseUrl) => {
  const scene = await startTraces(t, databaseUrl)
  const { kept, linesOf, lines, at } = scene
  const [header, own] = [sent(), sent()]
  const reached = (more = {}) => event('time_limit.reached', { sessionId: randomUUID() }, more)
  const batch = [reached({ traceparent: own }), reached(), reached({ traceparent: 'nonsense' })]
  const answer = await post(scene, batch, { headers: { traceparent: header } })
  const ids = answer.json().events.map(({ endings }: { endings: string[] }) => endings[0]) as string[]
  t.same(await Promise.all(ids.map(kept)), [own, header, header])
  for (const [i, id] of ids.entries())
    t.match(linesOf(id)[0], { msg: 'ending.accepted', traceparent: [own, header, header][i] })
  t.match(
    lines.filter(({ msg }) => msg === 'event.accepted').map(({ traceparent }) => traceparent),
    [own, header, header],
  )
  const binary = await postBinary(scene, reached({ traceparent: own }))
  t.equal(await kept(binary.json().events[0].endings[0]), own, 'in binary mode as well')
  const plain = await post(scene, [reached(), reached()])
  const made = await Promise.all(
    plain.json().events.map((one: { endings: string[] }) => kept(String(one.endings[0]))),
  )
  t.equal(readTraceparent(made[0]), made[0])
  t.equal(made[0], made[1], 'one request is one trace')

  const scheduled = { bookingId: '1', roomId: 'the-room', startsAt: at(HOUR), endsAt: at(2 * HOUR) }
  const booked = await post(scene, event('booking.scheduled', scheduled, { traceparent: sent() }))
  const id = booked.json().events[0].endings[0]
  await post(scene, event('booking.cancelled', { bookingId: '1' }, { traceparent: own }))
  t.equal(await kept(id), own, 'taken back by that event')
  t.match(linesOf(id).at(-1), { msg: 'ending.cancelled', traceparent: own })
})

onEveryEngine(t, 'what a rule asks for has a trace of its own', async (t, databaseUrl) => {
  const { request, sandbox, live, lines, clock, kept, now } = await startTraces(t, databaseUrl)
  const sessions = [live(), live()]
  for (const { room } of sessions)
    await request('PUT', `/v1/time-limits/${room.id}`, {
      body: { maxMinutes: 1 },
      headers: { traceparent: sent() },
    })
  await clock.advance(31_000)
  const made = () => lines.filter(({ msg, reason }) => msg === 'ending.accepted' && reason === 'time_limit')
  await until(() => made().length === 2)
  const traces = await Promise.all(made().map(({ ending }) => kept(String(ending))))
  t.equal(new Set(traces.map(traceId)).size, 2)
  t.same(
    made().map(({ traceparent }) => traceparent),
    traces,
  )
  await clock.advanceTo(now + 70_000)
  const ends = () => sandbox.calls.filter(({ operation }) => operation === 'end')
  // Replicas let each other go first for some ms.
  await until(async () => {
    await clock.advance(50)
    return ends().length === 2
  })
  t.same(
    ends()
      .map(({ headers }) => traceId(headers?.traceparent))
      .sort(),
    traces.map(traceId).sort(),
  )
})

t.test('a warning belongs to the trace of its ending', async (t) => {
  const scene = await startScene(t)
  const { sandbox, request, at, clock } = scene
  const { room } = sandbox.startSession({ room: sandbox.createRoom().id })
  const traceparent = sent()
  const body = { target: { room: room.id }, dueAt: at(HOUR), warnMinutes: [10] }
  t.equal((await request('POST', '/v1/endings', { body, headers: { traceparent } })).statusCode, 202)
  await clock.advance(50 * 60_000)
  await sandbox.waitForCalls((calls) => calls.some(({ operation }) => operation === 'chat'))
  isSpanned(
    t,
    sandbox.calls.filter(({ operation }) => operation === 'chat'),
    traceparent,
  )
})
