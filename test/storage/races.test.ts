import t from 'tap'
import type { Transition } from '../../src/storage/endings/transitions.ts'
import type { Ledger } from '../../src/storage/ledger.ts'
import type { Engine } from '../../src/storage/schema.ts'
import { freshUrl, onEveryEngine, open } from '../helper/engines.ts'
import { BOOKING, claimOne, endCall, instruction, put, stored } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { query } from '../helper/postgres.ts'

const ROUNDS = 120
const ENDED = { to: 'ended', outcome: 'ended' } as const

/** Two ledgers: on PostgreSQL two replicas on one database, on SQLite one process, which is all that may have it. */
async function two(t: Parameters<typeof open>[0], url: string, engine: Engine, clock: ManualClock) {
  const { ledger } = await open(t, url, clock)
  return [ledger, engine === 'postgres' ? (await open(t, url, clock)).ledger : ledger] as const
}

/**
 * Starts all of them in an order of its own for each round, with a turn of the event loop between some; in some rounds
 * one after the other, so that each order of events is there whatever the machine is doing.
 */
async function race<T>(round: number, racers: Array<() => Promise<T>>): Promise<T[]> {
  const started: Promise<T>[] = []
  for (let i = 0; i < racers.length; i += 1) {
    const index = (i + round) % racers.length
    started[index] = (racers[index] as () => Promise<T>)()
    if (round % 8 < 2) await started[index]
    else if ((round >> i) % 3 === 1) await new Promise(setImmediate)
  }
  return Promise.all(started)
}

onEveryEngine(t, 'the same idempotency key from four connections', async (t, url, engine) => {
  const [one, other] = await two(t, url, engine, new ManualClock(1000))
  for (let round = 0; round < ROUNDS; round += 1) {
    const request = { caller: 'booking', key: `i${round}`, fingerprint: 'same' }
    const answers = await race(
      round,
      [one, other, one, other].map((ledger) => () => ledger.store(instruction({ dueAt: 9e9 }), request)),
    )
    const ids = new Set(answers.map((answer) => stored(answer).id))
    if (ids.size !== 1) return t.fail(`round ${round}: ${ids.size} endings`)
  }
  t.equal((await one.backlog()).pending, ROUNDS, 'one ending each')
})

onEveryEngine(t, 'the same key from four connections', async (t, url, engine) => {
  const [one, other] = await two(t, url, engine, new ManualClock(1000))
  for (let round = 0; round < ROUNDS; round += 1) {
    const answers = await race(
      round,
      [one, other, one, other].map(
        (ledger, i) => () => ledger.store(instruction({ dueAt: 9e9 + i, key: `k${round}` })),
      ),
    )
    const ids = new Set(answers.map((answer) => stored(answer).id))
    if (ids.size !== 1) return t.fail(`round ${round}: ${ids.size} endings`)
  }
  t.equal((await one.backlog()).pending, ROUNDS, 'one pending ending each')
})

onEveryEngine(t, 'cancel against claim', async (t, url, engine) => {
  const [one, other] = await two(t, url, engine, new ManualClock(1000))
  const seen = { cancelled: 0, claimed: 0 }
  for (let round = 0; round < ROUNDS; round += 1) {
    const { id } = await put(one)
    const [answer, claimed] = (await race<unknown>(round, [
      () => one.cancel(id, BOOKING),
      () => other.claim(1, 5000),
    ])) as [Awaited<ReturnType<Ledger['cancel']>>, Awaited<ReturnType<Ledger['claim']>>]
    const wasCancelled = 'ending' in answer
    if (wasCancelled === (claimed.length === 1)) return t.fail(`round ${round}: both or neither`)
    seen[wasCancelled ? 'cancelled' : 'claimed'] += 1
    if (claimed[0]) await other.record(claimed[0], [], { to: 'ended', outcome: 'ended' })
  }
  t.ok(seen.cancelled > 0 && seen.claimed > 0, `either may win: ${JSON.stringify(seen)}`)
})

onEveryEngine(t, 'move against claim', async (t, url, engine) => {
  const [one, other] = await two(t, url, engine, new ManualClock(1000))
  const seen = { moved: 0, claimed: 0 }
  for (let round = 0; round < ROUNDS; round += 1) {
    const { id } = await put(one)
    const [answer, claimed] = (await race<unknown>(round, [
      () => one.move(id, BOOKING, 9e9),
      () => other.claim(1, 5000),
    ])) as [Awaited<ReturnType<Ledger['move']>>, Awaited<ReturnType<Ledger['claim']>>]
    const wasMoved = 'ending' in answer
    if (wasMoved === (claimed.length === 1)) return t.fail(`round ${round}: both or neither`)
    seen[wasMoved ? 'moved' : 'claimed'] += 1
    const row = await one.find(id)
    if (row?.due_at !== (wasMoved ? 9e9 : 0)) return t.fail(`round ${round}: due at ${row?.due_at}`)
    if (claimed[0]) await other.record(claimed[0], [], { to: 'ended', outcome: 'ended' })
  }
  t.ok(seen.moved > 0 && seen.claimed > 0, `either may win: ${JSON.stringify(seen)}`)
})

onEveryEngine(t, 'a worker whose lease ran out reports while another carries on', async (t, url, engine) => {
  const clock = new ManualClock(1000)
  const [one, other] = await two(t, url, engine, clock)
  const reports: Transition[] = [
    { to: 'ended', outcome: 'ended' },
    { to: 'ended', outcome: 'already_ended' },
    { to: 'failed', failure: 'rejected' },
    { to: 'pending', nextAttemptAt: 9e9, retrySince: 1 },
    { to: 'released' },
  ]
  for (let round = 0; round < ROUNDS; round += 1) {
    const { id } = await put(one)
    const slow = await claimOne(one, 10)
    await clock.advance(10)
    const fresh = await claimOne(other, 5000)
    const late = reports[round % reports.length] as Transition
    const timely = reports[Math.floor(round / reports.length) % reports.length] as Transition
    await race(round, [
      () => one.record(slow, [endCall('retry')], late),
      () => other.record(fresh, [endCall('retry')], timely),
    ])
    const row = await one.find(id)
    const wrong = misfit(row, late, timely)
    if (wrong) return t.fail(`round ${round}: late ${late.to}, timely ${timely.to}: ${wrong}`)
    if ((await one.attempts(id)).length !== 2) return t.fail(`round ${round}: an end call is not on record`)
    // So that the next round's claim does not find this one.
    const [left] = await one.claim(1, 5000)
    if (left) await one.record(left, [], { to: 'ended', outcome: 'ended' })
  }
  t.pass(`${ROUNDS} rounds`)
})

/** The timely report counts; of the late one only a success, and that not against a failure that came first. */
function misfit(
  row: Awaited<ReturnType<Ledger['find']>>,
  late: Transition,
  timely: Transition,
): string | undefined {
  const success = (report: Transition) => report.to === 'ended' && report.outcome === 'ended'
  if (success(timely) || (success(late) && timely.to !== 'failed'))
    return row?.outcome === 'ended' ? undefined : `${row?.state}/${row?.outcome} instead of ended`
  if (success(late)) return ['ended', 'failed'].includes(row?.state ?? '') ? undefined : `${row?.state}`
  const expected = timely.to === 'released' ? 'pending' : timely.to
  if (row?.state !== expected) return `${row?.state} instead of ${expected}`
  return row.claimed_until === null ? undefined : 'still claimed'
}

onEveryEngine(t, 'many claimers never share an ending', async (t, url, engine) => {
  const [one, other] = await two(t, url, engine, new ManualClock(1000))
  await Promise.all(Array.from({ length: 300 }, () => put(one)))
  const taken: string[] = []
  for (let round = 0; taken.length < 300 && round < 300; round += 1) {
    const batches = await race(
      round,
      [one, other, one, other].map((ledger, i) => () => ledger.claim(i + 1, 5000)),
    )
    taken.push(...batches.flat().map((row) => row.id))
  }
  t.equal(taken.length, 300, 'all are claimed')
  t.equal(new Set(taken).size, 300, 'once each')
})

t.test('what is being recorded and what is about to replace it do not wait for each other', async (t) => {
  const url = await freshUrl(t, 'postgres')
  const { ledger, close } = await open(t, url, new ManualClock(1000))
  for (let round = 0; round < 30; round += 1) {
    const keys = Array.from({ length: 60 }, (_, i) => `${round} ${60 - i}`)
    for (const key of keys) await put(ledger, { key })
    const claimed = await ledger.claim(keys.length, 60_000)
    const records = claimed.map((one) =>
      ledger.record(one, [endCall('ended', { id: one.id, session: one.target_id })], ENDED),
    )
    for (let turn = 0; turn < round % 6; turn += 1) await new Promise(setImmediate)
    const stores = keys.map((key) => ledger.store(instruction({ key, dueAt: 9e9 })))
    t.equal((await Promise.all([...records, ...stores])).length, 2 * keys.length)
  }
  // A connection's counts are there when it is closed.
  await close()
  const [counted] = await query(
    url,
    'select deadlocks from pg_stat_database where datname = current_database()',
  )
  t.equal(Number(counted?.deadlocks), 0)
})
