import t, { type Test } from 'tap'
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts'
import { startCallers } from '../helper/callers.ts'
import { ask, end, endCalls, endingsIn, nothingOverdue, startCurfew } from '../helper/curfew.ts'
import { freshUrl } from '../helper/engines.ts'
import type { Process } from '../helper/process.ts'
import { until } from '../helper/service.ts'
import { isProblem } from '../routes/problems.ts'

// Far more than an exit takes that waits for nothing, and far less than the grace of ten seconds.
const AT_ONCE_MS = 3000

// No call waits for another minute.
const MANY = { CALLS_PER_MINUTE: '100000' }

async function scene(t: Test) {
  const sandbox = await startSandbox({ callsPerMinute: 1e9 })
  t.teardown(() => sandbox.close())
  const room = sandbox.createRoom().id
  const session = () => sandbox.startSession({ room }).id
  return { sandbox, session, databaseUrl: await freshUrl(t, 'sqlite') }
}

/** A live session whose end call, once made, is never answered. */
function hanging(sandbox: Sandbox, carryOut = false): string {
  const { id: session } = sandbox.startSession({ room: sandbox.createRoom().id })
  sandbox.inject({ kind: 'hang', session, carryOut })
  return session
}

/** Ends them all by one event; the endings' ids. */
async function suspend(url: string, sessions: string[]): Promise<string[]> {
  const targets = sessions.map((sessionId) => ({ sessionId }))
  const event = {
    specversion: '1.0',
    id: 'one',
    source: '/test',
    type: 'billing.suspended',
    data: { account: 'a', targets },
  }
  const reply = await ask(url, '/v1/events', event)
  return JSON.parse(reply.body).events[0].endings
}

/** What it exits with, and after how long (ms). */
async function exit({ signal, exited }: Process, name: NodeJS.Signals = 'SIGTERM') {
  const began = performance.now()
  signal(name)
  return { code: await exited, took: performance.now() - began }
}

t.test('SIGTERM: what is answered within the grace is recorded, what hangs is given back', async (t) => {
  const { sandbox, session, databaseUrl } = await scene(t)
  const first = await startCurfew(t, sandbox, databaseUrl, {
    SHUTDOWN_GRACE: '1s',
    MAX_CONCURRENT_CALLS: '3',
  })
  const [slow, deaf, mute] = [session(), hanging(sandbox), hanging(sandbox, true)]
  sandbox.inject({ kind: 'delay', session: slow, delayMs: 400 })
  const sessions = [slow, deaf, mute, ...Array.from({ length: 10 }, session)]
  const later = await end(first.url, session(), { dueAt: new Date(Date.now() + 3_600_000).toISOString() })
  // One request for all of them: the slow one must not be over before the signal.
  const ids = await suspend(first.url, sessions)
  await sandbox.waitForCalls(3)
  const { code, took } = await exit(first)
  t.equal(code, 0)
  t.ok(took >= 990 && took < 1000 + AT_ONCE_MS, `the grace was given, and not more: ${took} ms`)

  const between = await endingsIn(databaseUrl)
  t.match(between.get(ids[0] as string), { state: 'ended', outcome: 'ended', attempt: 1 })
  for (const id of [...ids.slice(1), later])
    t.match(between.get(id), { state: 'pending', attempt: 0, claimed_until: null, retry_since: null })
  t.equal(sandbox.calls.length, 3, 'nothing was begun after the signal')

  const second = await startCurfew(t, sandbox, databaseUrl)
  await nothingOverdue(second.url)
  const after = await endingsIn(databaseUrl)
  for (const [i, id] of ids.entries())
    t.match(after.get(id), { state: 'ended', outcome: sessions[i] === mute ? 'already_ended' : 'ended' })
  t.match(after.get(later), { state: 'pending', attempt: 0 })
  const twice = new Set([deaf, mute])
  t.same(
    endCalls(sandbox),
    new Map(sessions.map((each) => [each, twice.has(each) ? 2 : 1])),
    'each once, but for those of which it could not know',
  )
  // The client keeps the connection open that it asked on, and an ending waits for its time.
  const idle = await exit(second)
  t.equal(idle.code, 0)
  t.ok(idle.took < AT_ONCE_MS, `with nothing on its way it does not wait: ${idle.took} ms`)
})

t.test('whoever asks while it closes is refused; whoever was not is not forgotten', async (t) => {
  const { sandbox, databaseUrl } = await scene(t)
  const first = await startCurfew(t, sandbox, databaseUrl, { ...MANY, SHUTDOWN_GRACE: '1s' })
  const id = await end(first.url, hanging(sandbox))
  await sandbox.waitForCalls(1)
  const callers = startCallers(sandbox, first.url, 8)
  await until(() => callers.accepted.size >= 20)
  const { code } = await exit(first)
  await until(() => callers.unanswered > 0)
  await callers.stop()
  t.equal(code, 0)
  const [refusal] = callers.refused
  if (!refusal) return t.fail('nobody was told')
  isProblem(t, refusal, 503, 'shutting-down')
  for (const { statusCode, headers } of callers.refused)
    if (statusCode !== 503 || !headers['retry-after']) return t.fail(`${statusCode} while it closes`)

  const between = await endingsIn(databaseUrl)
  for (const accepted of callers.accepted.keys()) if (!between.has(accepted)) t.fail(`${accepted} is lost`)
  const second = await startCurfew(t, sandbox, databaseUrl, MANY)
  await nothingOverdue(second.url)
  const after = await endingsIn(databaseUrl)
  for (const accepted of [id, ...callers.accepted.keys()])
    if (after.get(accepted)?.outcome !== 'ended') t.fail(`${accepted} is not ended`)
  for (const session of callers.accepted.values())
    if (endCalls(sandbox).get(session) !== 1) t.fail(`${session} was not ended exactly once`)
})

t.test('a second signal ends it at once, and nothing is lost', async (t) => {
  const { sandbox, databaseUrl } = await scene(t)
  const ids: string[] = []
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    const curfew = await startCurfew(t, sandbox, databaseUrl, { SHUTDOWN_GRACE: '1m' })
    // What the process before left behind; it is due before the one that is to hang.
    await nothingOverdue(curfew.url)
    const session = hanging(sandbox)
    ids.push(await end(curfew.url, session))
    await sandbox.waitForCalls((calls) => calls.some((call) => call.session === session))
    curfew.signal('SIGTERM')
    await until(() => curfew.lines.some((line) => line.includes('service.stopping')))
    const { code, took } = await exit(curfew, name)
    t.not(code, 0)
    t.ok(took < AT_ONCE_MS, `${name}: ${took} ms`)
    t.match((await endingsIn(databaseUrl)).get(ids.at(-1) as string), { state: 'pending', attempt: 0 })
  }
  const [first] = ids
  t.match((await endingsIn(databaseUrl)).get(first as string), { outcome: 'ended', attempt: 1 })
})

t.test('whoever prefers to wait for the end is told what is so far, and holds nobody up', async (t) => {
  const { sandbox, session, databaseUrl } = await scene(t)
  const curfew = await startCurfew(t, sandbox, databaseUrl)
  const dueAt = new Date(Date.now() + 3_600_000).toISOString()
  const waiting = ask(curfew.url, `/v1/sessions/${session()}/end`, { dueAt }, { prefer: 'wait=30' })
  await until(async () => (await endingsIn(databaseUrl)).size === 1)
  const { code, took } = await exit(curfew)
  t.equal(code, 0)
  t.ok(took < AT_ONCE_MS, `${took} ms`)
  t.equal((await waiting).statusCode, 202)
})
