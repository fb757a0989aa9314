import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Fault } from '../../src/sandbox/sandbox.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { endCalls } from '../helper/curfew.ts'
import { freshUrl } from '../helper/engines.ts'
import { instruction, put } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { LEASE_MS, startReplica } from '../helper/replica.ts'
import { startService, until } from '../helper/service.ts'

// In steps that are far shorter than a lease, and with time for PostgreSQL between them.
const STEP_MS = 500
const PAUSE_MS = 20

/**
 * A replica that has an ending and waits for the answer to its call, which is held back by `fault`; and a second one.
 * Each has a clock of its own: that of the first stands still, as in a machine that is suspended, or dead.
 */
async function scene(t: Test, fault: Omit<Fault, 'session'>) {
  const vendor = new ManualClock()
  const clock = new ManualClock()
  const sandbox = await startSandbox({ clock: vendor })
  t.teardown(() => sandbox.close())
  const url = await freshUrl(t, 'postgres')
  const first = await startReplica(t, sandbox, url, new ManualClock())
  const session = sandbox.startSession({ room: sandbox.createRoom().id }).id
  sandbox.inject({ session, ...fault })
  const { id } = await put(first.ledger, { target: { session } })
  await sandbox.waitForCalls(1)
  const second = await startReplica(t, sandbox, url, clock)
  // The second is told of nothing: only its safety net finds what is free, and that sleeps only once it has looked.
  const takesOver = () =>
    until(async () => {
      await clock.advance(STEP_MS)
      await pause(PAUSE_MS)
      return sandbox.calls.length > 1
    })
  return { sandbox, vendor, clock, session, first, second, id, takesOver }
}

t.test('what a dead replica had is taken over when its lease has run out, and not before', async (t) => {
  const { sandbox, clock, session, first, second, id, takesOver } = await scene(t, { kind: 'hang' })
  await first.cutOff()
  await clock.advance(LEASE_MS - 1)
  t.same(await second.ledger.claim(10, 1), [], 'a millisecond before')
  t.equal(sandbox.calls.length, 1)
  await takesOver()
  await until(async () => (await second.ledger.backlog()).pending === 0)
  t.match(await second.ledger.find(id), { state: 'ended', outcome: 'ended', attempt: 1, claim: 2 })
  t.same(endCalls(sandbox), new Map([[session, 2]]))
})

// Long enough that the second one does not try again while the first one wakes up.
const LATER: Fault = { kind: 'status', status: 500, headers: { 'retry-after': '600' } }

const LATE: [name: string, fault: Omit<Fault, 'session'>, second: Fault | undefined, then: object][] = [
  [
    'a failure of what is ended',
    { kind: 'status', status: 500 },
    undefined,
    { outcome: 'ended', attempt: 1 },
  ],
  [
    'a rejection of what is ended',
    { kind: 'status', status: 400 },
    undefined,
    { outcome: 'ended', attempt: 1 },
  ],
  [
    'a rejection of what is to be tried again',
    { kind: 'status', status: 400 },
    LATER,
    { state: 'pending', attempt: 1, failure: null },
  ],
  [
    'a success, which is true of what is to be tried again',
    { kind: 'delay', carryOut: true },
    LATER,
    { outcome: 'ended', attempt: 2, claimed_until: null },
  ],
  [
    'a success, which is truer than “it was over already”',
    { kind: 'delay', carryOut: true },
    undefined,
    { outcome: 'ended' },
  ],
]

for (const [name, fault, faultOfSecond, then] of LATE)
  t.test(`a replica wakes up and reports ${name}`, async (t) => {
    const { sandbox, vendor, clock, first, second, id, takesOver } = await scene(t, {
      ...fault,
      delayMs: 1000,
    })
    if (faultOfSecond) sandbox.inject(faultOfSecond)
    await clock.advance(LEASE_MS)
    await takesOver()
    await until(async () => (await second.ledger.find(id))?.claimed_until === null)
    const before = await second.ledger.find(id)
    t.match(before, { claim: 2, attempt: 1, state: faultOfSecond ? 'pending' : 'ended' })
    await vendor.advance(1000)
    await until(() => first.logged.includes('ending.attempted'))
    const after = await second.ledger.find(id)
    t.match(after, then)
    const isTrue = fault.kind === 'delay'
    if (!isTrue) t.same(after, before, 'nothing is changed')
    t.equal(first.logged.includes('ending.report_too_late'), !isTrue)
    t.equal((await second.ledger.attempts(id)).length, 2, 'but both calls are written down')
  })

t.test('two replicas share the work, and each ending is carried out once', async (t) => {
  const databaseUrl = await freshUrl(t, 'postgres')
  const one = await startService(t, { databaseUrl })
  const { sandbox, app } = one
  const other = await startService(t, { databaseUrl, sandbox })
  const room = sandbox.createRoom().id
  const sessions = Array.from({ length: 200 }, () => sandbox.startSession({ room }).id)
  await Promise.all(
    sessions.map((session, i) =>
      (i % 2 ? app : other.app).ledger.store(instruction({ target: { session } })),
    ),
  )
  await until(async () => (await app.ledger.backlog()).pending === 0)
  t.same(sandbox.calls.map(({ session }) => session).sort(), sessions.sort())
})

t.test(
  'whoever was slower lets the other go first, and is there at once when that one is gone',
  async (t) => {
    const clock = new ManualClock()
    const sandbox = await startSandbox({ clock })
    t.teardown(() => sandbox.close())
    const url = await freshUrl(t, 'postgres')
    const first = await startReplica(t, sandbox, url, clock)
    const { id: room } = sandbox.createRoom()
    const begin = clock.now()
    const SECONDS = 6
    for (let s = 1; s <= SECONDS; s += 1) {
      const session = sandbox.startSession({ room }).id
      await put(first.ledger, { target: { session }, dueAt: begin + 1000 * s })
    }
    // Only now, for nobody is told of what is due later: it finds them when it first looks.
    const replicas = [first, await startReplica(t, sandbox, url, clock)] as const
    const attempted = () =>
      replicas.map(({ logged }) => logged.filter((line) => line === 'ending.attempted').length)
    const done = async (count: number) => {
      await until(async () => {
        await clock.advance(5)
        await pause(PAUSE_MS)
        return attempted().reduce((sum, n) => sum + n, 0) === count
      })
    }
    for (let s = 1; s < SECONDS; s += 1) {
      await clock.advanceTo(begin + 1000 * s)
      await done(s)
    }
    const last = replicas[attempted()[0] === 0 ? 1 : 0]
    await last.cutOff()
    await clock.advanceTo(begin + 1000 * SECONDS)
    await done(SECONDS)
    const { at } = sandbox.calls.at(-1) as { at: number }
    t.ok(at - begin - 1000 * SECONDS < 200, `${at - begin - 1000 * SECONDS} ms late`)
    t.equal(endCalls(sandbox).size, SECONDS)
  },
)
