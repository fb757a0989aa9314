import t from 'tap'
import { instruction } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import type { Service } from '../helper/service.ts'
import { startService, until } from '../helper/service.ts'

const CROWD = 3000
const PER_MINUTE = 1000

t.test('3000 endings due at one moment, 1000 calls a minute allowed', async (t) => {
  const clock = new ManualClock('2026-11-23T14:59:00Z')
  const due = Date.parse('2026-11-23T15:00:00Z')
  const env = { CALLS_PER_MINUTE: String(PER_MINUTE), MAX_CONCURRENT_CALLS: '10' }
  const { app, sandbox } = await startService(t, {
    clock,
    env,
    sandboxOptions: { callsPerMinute: PER_MINUTE },
  })
  const { id: room } = sandbox.createRoom({})
  const sessions = Array.from({ length: CROWD }, () => sandbox.startSession({ room }).id)
  // Each a millisecond after the one before, the last hundred urgent.
  await Promise.all(
    sessions.map((session, i) =>
      app.ledger.store(instruction({ target: { session }, dueAt: due + i, urgent: i >= CROWD - 100 })),
    ),
  )
  await clock.jumpTo(due + CROWD)
  const began = clock.now()
  for (let window = 1; window <= CROWD / PER_MINUTE; window += 1) {
    await sandbox.waitForCalls(window * PER_MINUTE)
    await until(async () => (await app.ledger.backlog()).pending === CROWD - window * PER_MINUTE)
    t.equal(sandbox.calls.length, window * PER_MINUTE, 'the whole minute is used at once')
    if (window * PER_MINUTE < CROWD) await clock.advance(61_000)
  }
  const took = clock.now() - began
  const least = 60_000 * (CROWD / PER_MINUTE - 1)
  t.ok(took <= least * 1.05, `${took} ms, where ${least} ms is the least possible`)
  const wasted = sandbox.calls.filter(({ status }) => status === 429).length
  t.ok(wasted <= CROWD * 0.01, `${wasted} calls wasted on 429`)
  t.same(sandbox.liveSessions(), [])
  t.ok(inOrder(sandbox, sessions), 'urgent ones first, then by due time')
})

/** Ten are on their way together, and a slow one among them is overtaken by a few more; none loses its place by more. */
function inOrder({ calls }: Service['sandbox'], sessions: string[]): boolean {
  const wanted = [...sessions.slice(-100), ...sessions.slice(0, -100)]
  const place = new Map(wanted.map((session, i) => [session, i]))
  return calls.every((call, i) => Math.abs((place.get(call.session as string) as number) - i) <= 30)
}

t.test('endings for external ids that come due together share one listing', async (t) => {
  const clock = new ManualClock()
  const { app, sandbox } = await startService(t, { clock })
  const sessions = Array.from({ length: 40 }, (_, i) =>
    sandbox.startSession({ room: sandbox.createRoom({ externalId: `e${i}` }).id }),
  )
  const dueAt = clock.now() + 1000
  await Promise.all(
    sessions.map((_, i) => app.ledger.store(instruction({ target: { roomExternalId: `e${i}` }, dueAt }))),
  )
  await clock.advance(1000)
  await until(async () => (await app.ledger.backlog()).pending === 0)
  t.same(sandbox.liveSessions(), [])
  const operations = sandbox.calls.map(({ operation }) => operation)
  t.equal(operations.filter((operation) => operation === 'sessions').length, 1)
  t.equal(operations.filter((operation) => operation === 'end').length, 40)

  const again = sandbox.enter(sessions[0]?.room.id as string)
  await clock.advance(10)
  await app.ledger.store(instruction({ target: { roomExternalId: 'e0' }, dueAt: clock.now() }))
  await until(async () => (await app.ledger.backlog()).pending === 0)
  t.equal(again.live, false, 'one that comes due later is not served from what was listed before')
})
