import t, { type Test } from 'tap'
import type { Fault, Sandbox } from '../../src/sandbox/sandbox.ts'
import { endCalls, endingsIn } from '../helper/curfew.ts'
import { freshUrl, onEveryEngine } from '../helper/engines.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { type Service, startService, until } from '../helper/service.ts'

// Their clock stands still, so that a service which waited for any time to pass while it stops would never have stopped.
const start = (t: Test, databaseUrl: string, env: Record<string, string> = {}, sandbox?: Sandbox) =>
  startService(t, { clock: new ManualClock(Date.now()), databaseUrl, env, ...(sandbox ? { sandbox } : {}) })

/** A room with that many live sessions, and an ending for it. */
async function endRoom({ sandbox, request }: Service, sessions: number) {
  const room = sandbox.createRoom().id
  const ids = Array.from({ length: sessions }, () => sandbox.startSession({ room }).id)
  const answer = await request('POST', `/v1/rooms/${room}/end`)
  return { id: answer.json().id as string, sessions: ids }
}

/** Starts Curfew again where it was closed, and lets it finish. */
async function startedAgain(t: Test, { sandbox, databaseUrl }: Service, id: string): Promise<void> {
  sandbox.clearFaults()
  const { app, ending, clock } = await start(t, databaseUrl, {}, sandbox)
  await (clock as ManualClock).advance(50_000)
  await until(async () => (await app.ledger.backlog()).pending === 0)
  t.match(await ending(id), { state: 'ended', outcome: 'ended' })
}

const WAITS: [name: string, fault: Fault, attempt: number][] = [
  ['for the next try of a hiccup', { kind: 'status', status: 503 }, 0],
  ['for the backoff after a failure', { kind: 'status', status: 500 }, 1],
  [
    'for as long as Digital Samba asked for',
    { kind: 'status', status: 500, headers: { 'retry-after': '40' } },
    1,
  ],
  ['for the end of a pause', { kind: 'status', status: 429, headers: { 'retry-after': '40' } }, 0],
  ['for credentials that work', { kind: 'status', status: 401 }, 0],
]

for (const [name, fault, attempt] of WAITS)
  t.test(`an ending that waits ${name} holds nobody up`, async (t) => {
    const databaseUrl = await freshUrl(t, 'sqlite')
    const service = await start(t, databaseUrl)
    const { sandbox, request } = service
    const session = sandbox.startSession({ room: sandbox.createRoom().id }).id
    sandbox.inject({ ...fault, times: Number.POSITIVE_INFINITY })
    const { id } = (await request('POST', `/v1/sessions/${session}/end`)).json()
    await sandbox.waitForCalls(1)
    await service.close()
    t.match((await endingsIn(databaseUrl)).get(id), { state: 'pending', attempt, claimed_until: null })
    t.equal(sandbox.calls.length, 1, 'no further try')
    await startedAgain(t, service, id)
    t.equal(endCalls(sandbox).get(session), 2)
  })

onEveryEngine(t, 'a room of which one session is ended goes on with the others', async (t, databaseUrl) => {
  // One call finds the sessions, one ends the first, and for the third there is no budget.
  const service = await start(t, databaseUrl, { CALLS_PER_MINUTE: '2' })
  const { sandbox } = service
  const { id, sessions } = await endRoom(service, 3)
  await until(() => sandbox.liveSessions().length === 2)
  await service.close()
  t.match((await endingsIn(databaseUrl)).get(id), { state: 'pending', attempt: 0, claimed_until: null })
  await startedAgain(t, service, id)
  t.same(endCalls(sandbox), new Map(sessions.map((session) => [session, 1])), 'each once')
})

onEveryEngine(t, 'a room is given back after the call that is on its way', async (t, databaseUrl) => {
  const service = await start(t, databaseUrl)
  const { sandbox } = service
  sandbox.inject({ kind: 'delay', operation: 'end', delayMs: 1000 })
  const { id, sessions } = await endRoom(service, 3)
  await sandbox.waitForCalls(2)
  const closing = service.close()
  await (service.clock as ManualClock).advance(1000)
  await closing
  t.same(endCalls(sandbox), new Map([[sessions[0], 1]]))
  t.match((await endingsIn(databaseUrl)).get(id), { state: 'pending', attempt: 0, claimed_until: null })
  await startedAgain(t, service, id)
  t.same(endCalls(sandbox), new Map(sessions.map((session) => [session, 1])), 'each once')
})

t.test('a look-up that hangs is given up with the grace', async (t) => {
  const databaseUrl = await freshUrl(t, 'sqlite')
  const service = await start(t, databaseUrl, { SHUTDOWN_GRACE: '5s' })
  const { sandbox, clock } = service
  sandbox.inject({ kind: 'hang', operation: 'room-sessions' })
  const { id, sessions } = await endRoom(service, 2)
  await sandbox.waitForCalls(1)
  const began = clock.now()
  let isClosed = false
  const closing = service.close().finally(() => {
    isClosed = true
  })
  while (!isClosed) await (clock as ManualClock).advance(100)
  await closing
  t.ok(clock.now() - began >= 5000, 'it had its grace')
  t.ok(clock.now() - began < 20_000, 'and not more')
  t.match((await endingsIn(databaseUrl)).get(id), { state: 'pending', attempt: 0, claimed_until: null })
  await startedAgain(t, service, id)
  t.same(endCalls(sandbox), new Map(sessions.map((session) => [session, 1])), 'each once')
})
