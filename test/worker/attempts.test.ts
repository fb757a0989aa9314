import t from 'tap'
import type { Fault, Sandbox } from '../../src/sandbox/sandbox.ts'
import { instruction } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { type Service, startService, until } from '../helper/service.ts'

// What becomes of the end call for one session of a room, and what is written down about it.
const RESULTS = ['ended', 'already_ended', 'not_found', 'rejected', 'retry'] as const
type Result = (typeof RESULTS)[number]

const FAULTS: Record<Result, Omit<Fault, 'kind'>[]> = {
  ended: [],
  already_ended: [{ operation: 'end', status: 409, carryOut: true }],
  not_found: [
    { operation: 'end', status: 404 },
    { operation: 'session', status: 404 },
  ],
  rejected: [{ operation: 'end', status: 403 }],
  retry: [{ operation: 'end', status: 500 }],
}

const TRIPLES = RESULTS.flatMap((a) => RESULTS.flatMap((b) => RESULTS.map((c): Result[] => [a, b, c])))

/** The rule of the design, in its own words. */
function expected(results: Result[]) {
  if (results.includes('retry')) return { state: 'pending', outcome: null, failure: null }
  if (results.includes('rejected')) return { state: 'failed', outcome: null, failure: 'rejected' }
  const outcome = results.includes('ended') ? 'ended' : 'already_ended'
  return { state: 'ended', outcome, failure: null }
}

/** A room with a live session for each result. */
function roomOf(sandbox: Sandbox, results: Result[]) {
  const room = sandbox.createRoom().id
  const sessions = results.map((result) => {
    const session = sandbox.startSession({ room }).id
    for (const fault of FAULTS[result]) sandbox.inject({ kind: 'status', session, ...fault })
    return session
  })
  return { room, sessions, results }
}

/** Until nothing is under way. */
async function settled({ app }: Service): Promise<void> {
  await until(async () => {
    const pending = await app.ledger.list({ state: 'pending' }, 1000)
    return !(await app.ledger.firstDue()) && pending.every((row) => row.claimed_until === null)
  })
}

t.test('a room with three sessions, and everything that may become of each', async (t) => {
  const clock = new ManualClock()
  // One call after the other, and one that succeeds between any two rooms: five failures in a row would hold all calls.
  const env = { CALLS_PER_MINUTE: '100000', MAX_CONCURRENT_CALLS: '1' }
  const service = await startService(t, { clock, env, sandboxOptions: { callsPerMinute: 100_000 } })
  const { sandbox, request, ending } = service
  const rooms: Array<ReturnType<typeof roomOf> & { id: string }> = []
  for (const results of TRIPLES) {
    const scene = roomOf(sandbox, results)
    const between = sandbox.startSession({ room: sandbox.createRoom().id })
    const { id } = (await request('POST', `/v1/rooms/${scene.room}/end`)).json()
    await request('POST', `/v1/sessions/${between.id}/end`)
    rooms.push({ ...scene, id })
  }
  await settled(service)
  for (const { id, results, sessions } of rooms) {
    const { attempts, ...first } = (await ending(id)) as Awaited<ReturnType<typeof ending>> & {
      attempts: object[]
    }
    t.match(first, { ...expected(results), attempt: 1 }, results.join())
    t.match(
      attempts,
      results.map((result, i) => ({ result, session: sessions[i], attempt: 1 })),
    )
  }

  const again = rooms.filter(({ results }) => results.includes('retry'))
  for (const { sessions } of again) for (const session of sessions) sandbox.endSession(session)
  await clock.advance(2000)
  await settled(service)
  for (const { id, results } of again) {
    const outcome = results.includes('ended') ? 'ended' : 'nothing_live'
    t.match(await ending(id), { state: 'ended', outcome, attempt: 2 }, `${results}, then nothing`)
  }
})

t.test('what is left of a room is ended by the next attempt', async (t) => {
  const clock = new ManualClock()
  const service = await startService(t, { clock })
  const { sandbox, request, ending } = service
  const { room, sessions } = roomOf(sandbox, ['retry', 'ended', 'rejected'])
  const { id } = (await request('POST', `/v1/rooms/${room}/end`)).json()
  await settled(service)
  t.match(await ending(id), { state: 'pending', attempt: 1, failure: null })
  await clock.advance(2000)
  await settled(service)
  t.match(await ending(id), { state: 'ended', outcome: 'ended', attempt: 2 })
  const ends = sandbox.calls.filter(({ operation }) => operation === 'end').map(({ session }) => session)
  t.same(ends, [...sessions, sessions[0], sessions[2]], 'the one that is over is not called again')
})

t.test('an attempt that lasts too long is cut short, and tried again like all that fails', async (t) => {
  const clock = new ManualClock()
  const service = await startService(t, { clock })
  const { app, sandbox, request, ending } = service
  const session = sandbox.startSession({ room: sandbox.createRoom().id }).id
  sandbox.inject({ kind: 'hang', session })
  const { id } = (await request('POST', `/v1/sessions/${session}/end`)).json()
  await sandbox.waitForCalls(1)
  await clock.advance(119_999)
  t.ok((await app.ledger.find(id))?.claimed_until, 'nobody else may have it before')
  t.equal(sandbox.calls.length, 1)
  await clock.advance(1)
  await settled(service)
  t.match(await ending(id), { state: 'pending', attempt: 1 })
  t.equal(sandbox.calls.length, 1, 'not begun again at once')
  t.match((await request('GET', '/status')).json(), { calls: { state: 'ok' } }, 'nor is it a failed call')
  await clock.advance(2000)
  await until(async () => (await ending(id)).state === 'ended')
  t.match(await ending(id), {
    outcome: 'ended',
    attempt: 2,
    attempts: [
      { attempt: 1, status: null, result: 'retry', durationMs: 120_000 },
      { attempt: 2, status: 200, result: 'ended' },
    ],
  })
})

t.test('an attempt that waits too long for its next call is given back', async (t) => {
  const clock = new ManualClock()
  const service = await startService(t, { clock })
  const { app, sandbox, request, ending } = service
  const { room, sessions } = roomOf(sandbox, ['ended', 'ended'])
  sandbox.inject({ kind: 'delay', operation: 'room-sessions', delayMs: 1000 })
  const { id } = (await request('POST', `/v1/rooms/${room}/end`)).json()
  await sandbox.waitForCalls(1)
  const other = sandbox.startSession({ room: sandbox.createRoom().id }).id
  sandbox.inject({ kind: 'status', session: other, status: 429, headers: { 'retry-after': '500' } })
  await request('POST', `/v1/sessions/${other}/end`)
  await until(async () => (await app.ledger.control()).length === 1)
  // Now its sessions are found, and the pause is between it and its first end call.
  await clock.advance(1000)
  await sandbox.waitForCalls((calls) => calls[0]?.status === 200)
  await clock.advance(120_000)
  await until(async () => (await app.ledger.find(id))?.claimed_until === null)
  t.match(await ending(id), { state: 'pending', attempt: 0, attempts: [] })
  await clock.advance(500_000)
  await settled(service)
  t.match(await ending(id), { state: 'ended', outcome: 'ended', attempt: 1 })
  t.match((await ending(id)) as object, {
    attempts: sessions.map((session) => ({ session, result: 'ended' })),
  })
})

t.test('never more calls at a time than are allowed', async (t) => {
  const { app, sandbox } = await startService(t, { env: { MAX_CONCURRENT_CALLS: '3' } })
  sandbox.inject({ kind: 'delay', delayMs: 5, times: Number.POSITIVE_INFINITY })
  const counts = new Set<number>()
  // A call that is held back is told of with status 0, and keeps it until it is answered.
  sandbox.onCall(() => counts.add(sandbox.calls.filter(({ status }) => status === 0).length))
  const rooms = Array.from({ length: 20 }, () => roomOf(sandbox, ['ended', 'ended', 'ended']))
  const alone = Array.from({ length: 40 }, () => sandbox.startSession({ room: sandbox.createRoom().id }).id)
  const dueAt = Date.now()
  await Promise.all([
    ...rooms.map(({ room }) => app.ledger.store(instruction({ target: { room }, dueAt }))),
    ...alone.map((session) => app.ledger.store(instruction({ target: { session }, dueAt, urgent: true }))),
  ])
  await until(async () => (await app.ledger.backlog()).pending === 0)
  t.same([...counts].sort(), [1, 2, 3], 'and all of those')
  t.equal(sandbox.liveSessions().length, 0)
})
