import t, { type Test } from 'tap'
import type { EndingRow } from '../../src/storage/schema.ts'
import { ENGINES, freshUrl, onEveryEngine, open } from '../helper/engines.ts'
import { claimOne, endCall, put } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { until } from '../helper/service.ts'
import { HOUR, MINUTE, type Scene, SECOND, startScene } from './confirming.ts'

for (const engine of ENGINES) {
  t.test(`without a webhook there is one look-up, five seconds after the end (${engine})`, async (t) => {
    const scene = await startScene(t, { engine })
    const { clock, sandbox } = scene
    const session = scene.session()
    const id = await scene.end(session)
    const { finished_at: over } = await scene.ended(id)
    await clock.advance(5 * SECOND - 1)
    t.match(await scene.row(id), { confirmed_at: null, confirm_at: Number(over) + 5 * SECOND })
    t.same(scene.lookUps(), [])
    await clock.advance(1)
    t.match(await scene.confirmed(id), { confirmed_at: Number(over) + 5 * SECOND, confirm_at: null })
    // Less than a minute: then PostgreSQL's clock would be asked again.
    await clock.advance(50 * SECOND)
    t.same(
      sandbox.calls.map((call) => [call.operation, call.session]),
      [
        ['end', session],
        ['session', session],
      ],
    )
  })

  t.test(`a webhook before that makes the look-up needless (${engine})`, async (t) => {
    const scene = await startScene(t, { engine })
    await scene.registerWebhook()
    scene.sandbox.configure({ webhooks: { delayMs: SECOND } })
    const id = await scene.end(scene.session())
    const { finished_at: over } = await scene.ended(id)
    await scene.clock.advance(SECOND)
    t.match(await scene.confirmed(id), { confirmed_at: Number(over) + SECOND, confirm_at: null })
    await scene.clock.advance(50 * SECOND)
    t.same(scene.lookUps(), [])
  })
}

t.test('where no webhook arrives, every ending is confirmed all the same', async (t) => {
  const scene = await startScene(t)
  await scene.registerWebhook()
  scene.sandbox.configure({ webhooks: { drop: true } })
  const sessions = Array.from({ length: 30 }, scene.session)
  const ids = await Promise.all(sessions.map((session) => scene.end(session)))
  for (const id of ids) await scene.ended(id)
  await scene.clock.advance(5 * SECOND)
  for (const id of ids) t.ok((await scene.confirmed(id)).confirmed_at)
  t.same(
    scene
      .lookUps()
      .map(({ session }) => session)
      .sort(),
    sessions.sort(),
    'each was looked up once',
  )
})

/** All that the ledger says, but for times, ids, and how often somebody had a claim. */
async function ledgerOf({ app }: Scene, names: Map<string, string>) {
  const about = async (row: EndingRow) => {
    const { state, outcome, failure, target_kind, requested_by, key, reason, attempt, reopened } = row
    const attempts = await app.ledger.attempts(row.id)
    const calls = attempts.map(({ session, status, result, confirmed_at: seen }) => [
      names.get(session),
      status,
      result,
      seen !== null,
    ])
    return { state, outcome, failure, target_kind, requested_by, key, reason, attempt, reopened, calls }
  }
  const all = await Promise.all((await app.ledger.list({}, 1000)).map(about))
  return all.sort((a, b) => String(a.key).localeCompare(String(b.key)))
}

// Carried out at once and answered late: their webhooks come before our own record of the end.
const LATE_ANSWER = { kind: 'delay', operation: 'end', carryOut: true, delayMs: MINUTE } as const
const LATE = [0, 5, 9]
const isPending = ({ state }: EndingRow) => state === 'pending'

/** Sessions and a room that are to end, each session with another ending that is due much later. */
async function busyScene(t: Test, delayed: boolean) {
  const scene = await startScene(t)
  const { app, sandbox, request } = scene
  if (delayed) await scene.registerWebhook()
  sandbox.configure({ webhooks: { repeat: 9, shuffle: true, delayMs: 500 } })
  const room = sandbox.createRoom().id
  const sessions = [...Array.from({ length: 8 }, scene.session), sandbox.startSession({ room }).id]
  sessions.push(sandbox.startSession({ room }).id)
  for (const i of LATE) sandbox.inject({ ...LATE_ANSWER, session: sessions[i] as string })
  const dueAt = new Date(scene.clock.now() + HOUR).toISOString()
  for (const [i, session] of sessions.entries()) {
    await scene.end(session, { key: `later ${i}`, dueAt }, 'billing')
    if (i < 8) await scene.end(session, { key: `now ${i}` })
  }
  await request('POST', `/v1/rooms/${room}/end`, { body: { key: 'the room' } })
  const unfinished = async () => (await app.ledger.list({}, 100)).filter((row) => row.confirmed_at === null)
  return { scene, unfinished, names: new Map(sessions.map((session, i) => [session, `session ${i}`])) }
}

t.test('webhooks that are repeated, shuffled, late or early change nothing but times', async (t) => {
  const ledgers: unknown[] = []
  for (const told of [false, true]) {
    const { scene, unfinished, names } = await busyScene(t, told)
    const { clock, sandbox } = scene
    await sandbox.waitForCalls((calls) => calls.filter(({ operation }) => operation === 'end').length === 10)
    await until(async () => (await unfinished()).filter(isPending).length === 10 + LATE.length)
    let delivered = false
    void sandbox.settled().then(() => {
      delivered = true
    })
    await until(async () => {
      await clock.advance(5)
      return delivered
    })
    t.equal((await unfinished()).length < 19, told, 'some were over by a webhook')
    await clock.advance(MINUTE)
    await until(async () => (await unfinished()).every((row) => !isPending(row) || row.due_at > clock.now()))
    await clock.advance(5 * SECOND)
    await until(async () => (await unfinished()).length === 0)
    ledgers.push(await ledgerOf(scene, names))
    // The ninth is in a room whose other session is answered late: both are recorded then.
    t.equal(
      scene.lookUps().length,
      told ? LATE.length + 1 : 10,
      'what webhooks told in time is not looked up',
    )
    t.same(scene.logged('ending.reopened'), [])
  }
  t.same(ledgers[1], ledgers[0])
})

t.test('a room is confirmed when all of its sessions were seen', async (t) => {
  const scene = await startScene(t)
  const { app, clock, sandbox, request } = scene
  const room = sandbox.createRoom().id
  const [one, other] = [sandbox.startSession({ room }).id, sandbox.startSession({ room }).id]
  sandbox.inject({ kind: 'status', status: 500, operation: 'session', session: other })
  const { id } = (await request('POST', `/v1/rooms/${room}/end`)).json()
  await scene.ended(id)
  await clock.advance(5 * SECOND)
  const seen = async () => {
    const calls = await app.ledger.attempts(id)
    return calls.filter((call) => call.confirmed_at !== null).map(({ session }) => session)
  }
  await scene.when(id, ({ confirm_at: at }) => at === clock.now() + MINUTE)
  t.same(await seen(), [one])
  t.equal((await scene.row(id)).confirmed_at, null)
  await clock.advance(MINUTE)
  await scene.confirmed(id)
  t.same((await seen()).sort(), [one, other].sort())
  t.same(
    scene.lookUps().map(({ session }) => session === one),
    [true, false, false],
    'who was seen is not looked up again',
  )
})

t.test('the first room’s session told by a webhook is half of it', async (t) => {
  const scene = await startScene(t)
  const { app, clock, sandbox, request } = scene
  const room = sandbox.createRoom().id
  const sessions = [sandbox.startSession({ room }).id, sandbox.startSession({ room }).id]
  const { id } = (await request('POST', `/v1/rooms/${room}/end`)).json()
  await scene.ended(id)
  t.same(await app.ledger.sessionSeenOver(sessions[0] as string), [])
  t.match(await scene.row(id), { confirmed_at: null })
  await clock.advance(SECOND)
  t.match(await app.ledger.sessionSeenOver(sessions[1] as string), [{ id, confirmed_at: clock.now() }])
})

onEveryEngine(t, 'what was seen to be over and then turns out to be ours keeps its time', async (t, url) => {
  const clock = new ManualClock(1000)
  const { ledger } = await open(t, url, clock)
  const session = 'edb7a1cb-0627-44ed-9ae4-62a344d6e8a9'
  const { id } = await put(ledger, { target: { session } })
  const slow = await claimOne(ledger, 100)
  await clock.advance(100)
  t.match(await ledger.sessionSeenOver(session), [{ id, outcome: 'already_ended', confirmed_at: 1100 }])
  await clock.advance(100)
  const late = await ledger.record(slow, [endCall('ended', { session })], { to: 'ended', outcome: 'ended' })
  t.match(late, { outcome: 'ended', confirmed_at: 1100, confirm_at: null, finished_at: 1200 })
  t.equal(await ledger.nextConfirmation(), undefined)
})

t.test('a restart between the end and its confirmation', async (t) => {
  const databaseUrl = await freshUrl(t, 'sqlite')
  const first = await startScene(t, { databaseUrl })
  const { clock, sandbox } = first
  const ids = await Promise.all([1, 2, 3].map(() => first.end(first.session())))
  for (const id of ids) await first.ended(id)
  await first.close()
  await clock.advance(HOUR)
  const second = await startScene(t, { databaseUrl, clock, sandbox })
  for (const id of ids) t.match(await second.confirmed(id), { confirmed_at: clock.now(), attempt: 1 })
  t.equal(second.lookUps().length, 3)
})

t.test('a shutdown cuts a look-up short, and the next process makes it', async (t) => {
  const databaseUrl = await freshUrl(t, 'sqlite')
  const first = await startScene(t, { databaseUrl })
  const { clock, sandbox } = first
  const id = await first.end(first.session())
  await first.ended(id)
  sandbox.inject({ kind: 'hang', operation: 'session' })
  await clock.advance(5 * SECOND)
  await sandbox.waitForCalls(2)
  await first.close()
  t.same(first.logged('confirmer.trouble'), [])
  const second = await startScene(t, { databaseUrl, clock, sandbox })
  t.match(await second.row(id), { outcome: 'ended', confirmed_at: null })
  await clock.advance(2 * MINUTE)
  t.match(await second.confirmed(id), { outcome: 'ended' })
  t.equal(second.lookUps().length, 2)
})
