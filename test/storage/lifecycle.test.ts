import { randomUUID } from 'node:crypto'
import t from 'tap'
import { onEveryEngine, open } from '../helper/engines.ts'
import { BOOKING, claimOne, endCall, instruction, put } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'

onEveryEngine(t, 'a claim takes urgent ones first, then those due first, and none twice', async (t, url) => {
  const clock = new ManualClock(1000)
  const { ledger } = await open(t, url, clock)
  for (const [reason, dueAt, urgent] of [
    ['third', 30, false],
    ['first', 90, true],
    ['second', 20, false],
    ['not_yet', 1001, true],
  ] as const)
    await put(ledger, { reason, dueAt, urgent })
  t.equal(await ledger.nextAttemptAt(), 1000, 'what was due before it was asked for is looked at now')
  t.equal((await ledger.firstDue())?.reason, 'first')
  t.same(
    (await ledger.claim(2, 500)).map((row) => row.reason),
    ['first', 'second'],
  )
  t.same(
    (await ledger.claim(9, 500)).map((row) => row.reason),
    ['third'],
  )
  t.same(await ledger.claim(9, 500), [])
  t.equal(await ledger.nextAttemptAt(), 1001, 'claimed ones do not wake the worker')
  await clock.advance(500)
  const again = await ledger.claim(9, 500)
  t.same(
    again.map((row) => row.reason),
    ['first', 'not_yet', 'second', 'third'],
    'a lease that ran out is no claim',
  )
  t.same(
    again.map((row) => row.claim),
    [2, 1, 2, 2],
  )
})

onEveryEngine(t, 'what an attempt came to', async (t, url) => {
  const clock = new ManualClock(1000)
  const { ledger } = await open(t, url, clock)
  await put(ledger)
  const first = await claimOne(ledger)
  const retry = { to: 'pending', nextAttemptAt: 3000, retrySince: 1000 } as const
  t.match(await ledger.record(first, [endCall('retry'), endCall('retry')], retry), {
    state: 'pending',
    attempt: 1,
    next_attempt_at: 3000,
    retry_since: 1000,
    claimed_until: null,
  })
  t.same(await ledger.claim(1, 500), [], 'not before its next attempt')
  await clock.advanceTo(3000)
  const second = await claimOne(ledger)
  t.match(await ledger.record(second, [], { to: 'released' }), {
    attempt: 1,
    claimed_until: null,
    next_attempt_at: 3000,
  })
  const third = await claimOne(ledger)
  t.match(await ledger.record(third, [endCall('ended')], { to: 'ended', outcome: 'ended' }), {
    state: 'ended',
    outcome: 'ended',
    attempt: 2,
    finished_at: 3000,
    claimed_until: null,
  })
  t.same(
    (await ledger.attempts(first.id)).map(({ attempt, result }) => [attempt, result]),
    [
      [1, 'retry'],
      [1, 'retry'],
      [2, 'ended'],
    ],
  )
})

onEveryEngine(t, 'a room that was ended in two attempts was ended by us', async (t, url) => {
  const { ledger } = await open(t, url, new ManualClock(1000))
  await put(ledger, { target: { room: 'a-room' } })
  const retry = { to: 'pending', nextAttemptAt: 1000, retrySince: 1000 } as const
  await ledger.record(await claimOne(ledger), [endCall('ended'), endCall('retry')], retry)
  const gone = { to: 'ended', outcome: 'nothing_live' } as const
  t.match(await ledger.record(await claimOne(ledger), [], gone), { state: 'ended', outcome: 'ended' })
  await put(ledger, { target: { room: 'a-room' } })
  t.match(await ledger.record(await claimOne(ledger), [], gone), { state: 'ended', outcome: 'nothing_live' })
})

onEveryEngine(t, 'reports of a worker whose lease ran out', async (t, url) => {
  const clock = new ManualClock(1000)
  const { ledger } = await open(t, url, clock)
  const stale = async () => {
    await put(ledger)
    const slow = await claimOne(ledger, 100)
    await clock.advance(101)
    return { slow, fresh: await claimOne(ledger, 100) }
  }
  const failed = { to: 'failed', failure: 'rejected' } as const
  const retry = { to: 'pending', nextAttemptAt: 9e9, retrySince: 1 } as const
  const ended = { to: 'ended', outcome: 'ended' } as const
  const over = { to: 'ended', outcome: 'already_ended' } as const

  for (const late of [failed, retry, over, { to: 'released' } as const]) {
    const { slow, fresh } = await stale()
    t.equal(await ledger.record(slow, [endCall('retry')], late), undefined, `${late.to} changes nothing`)
    t.match(await ledger.find(fresh.id), {
      state: 'pending',
      claim: 2,
      claimed_until: fresh.claimed_until,
      attempt: 0,
    })
    t.equal((await ledger.attempts(fresh.id)).length, 1, 'but its calls are on record')
    await ledger.record(fresh, [], ended)
  }
  const { slow, fresh } = await stale()
  t.match(await ledger.record(slow, [], ended), { state: 'ended', outcome: 'ended' }, 'a success is true')
  t.equal(await ledger.record(fresh, [], over), undefined, 'and stays so')
  const other = await stale()
  await ledger.record(other.fresh, [], over)
  t.match(await ledger.record(other.slow, [], ended), { outcome: 'ended' }, 'also where another saw it over')
  const third = await stale()
  await ledger.record(third.fresh, [], failed)
  t.equal(await ledger.record(third.slow, [], ended), undefined, 'but what was given up stays so')
})

onEveryEngine(t, 'a late success is none of what was put in its place meanwhile', async (t, url) => {
  const clock = new ManualClock(1000)
  const { ledger } = await open(t, url, clock)
  const session = { session: randomUUID() }
  const cases = [
    ['another session', session, { session: randomUUID() }, 5000, undefined],
    ['the same session, another time', session, session, 5000, 'ended'],
    ['the same room at another time', { room: 'room' }, { room: 'room' }, 9000, undefined],
    ['the same room at the same time', { room: 'room' }, { room: 'room' }, 0, 'ended'],
    ['another room at the same time', { room: 'room' }, { room: 'other' }, 0, undefined],
  ] as const
  for (const [what, target, instead, dueAt, state] of cases) {
    const { id } = await put(ledger, { target, key: what })
    const slow = await claimOne(ledger, 100)
    await clock.advance(100)
    await put(ledger, { target: instead, dueAt: dueAt && clock.now() + dueAt, key: what })
    const call = endCall('ended')
    const after = await ledger.record(slow, [call], { to: 'ended', outcome: 'ended' })
    t.equal(after?.state, state, what)
    t.match(await ledger.find(id), { state: state ?? 'pending' })
    t.match(await ledger.attempts(id), [{ id: call.id }], 'the call is on record')
    if (!state) await ledger.cancel(id, BOOKING)
  }
})

onEveryEngine(t, 'a report that is written down twice is one', async (t, url) => {
  const { ledger } = await open(t, url, new ManualClock(1000))
  const { id } = await put(ledger)
  const claimed = await claimOne(ledger)
  const calls = [endCall('retry'), endCall('retry')]
  // As after a COMMIT whose acknowledgement never came.
  for (let time = 0; time < 2; time += 1)
    await ledger.record(claimed, calls, { to: 'pending', nextAttemptAt: 2000, retrySince: 1000 })
  t.match(await ledger.find(id), { state: 'pending', attempt: 1 })
  t.equal((await ledger.attempts(id)).length, 2)
})

onEveryEngine(t, 'an owner changes an ending only while nobody carries it out', async (t, url) => {
  const clock = new ManualClock(1000)
  const { ledger } = await open(t, url, clock)
  const { id } = await put(ledger, { key: 'k' })
  const claimed = await claimOne(ledger, 100)
  t.same(await ledger.cancel(id, BOOKING), { obstacle: 'in-progress' })
  t.same(await ledger.move(id, BOOKING, 5000), { obstacle: 'in-progress' })
  t.same(await ledger.store(instruction({ key: 'k' })), { obstacle: 'in-progress' })
  await clock.advance(100)
  t.match(await ledger.move(id, BOOKING, 5000), {
    ending: { due_at: 5000, next_attempt_at: 5000, claimed_until: null },
  })
  const late = await ledger.record(claimed, [], { to: 'pending', nextAttemptAt: 2000, retrySince: 1000 })
  t.equal(late, undefined, 'the slow worker has lost its claim by the move')
  t.match(await ledger.find(id), { next_attempt_at: 5000, attempt: 0 })
  t.match(await ledger.cancel(id, BOOKING), { ending: { state: 'cancelled', finished_at: 1100 } })
  t.same(await ledger.cancel(id, BOOKING), { obstacle: 'not-pending' })
  t.same(await ledger.move(id, BOOKING, 1), { obstacle: 'not-pending' })
  t.same(await ledger.retry(id, BOOKING), { obstacle: 'not-failed' })
  t.same(await ledger.cancel(id, { name: 'billing', operator: false }), { obstacle: 'forbidden' })
  t.same(await ledger.cancel('01a20aed-7e01-70a5-b47c-be9bc2c1bf82', BOOKING), { obstacle: 'not-found' })
})

onEveryEngine(
  t,
  'a failed one is tried again at once, from a short backoff, due when it was',
  async (t, url) => {
    const clock = new ManualClock(1000)
    const { ledger } = await open(t, url, clock)
    const { id } = await put(ledger, { dueAt: 500, key: 'k' })
    await ledger.record(await claimOne(ledger), [], { to: 'failed', failure: 'gave_up' })
    await clock.advance(4000)
    t.match(await ledger.retry(id, BOOKING), {
      ending: {
        state: 'pending',
        failure: null,
        due_at: 500,
        next_attempt_at: 5000,
        retry_base: 1,
        retry_since: null,
      },
    })
    await ledger.record(await claimOne(ledger), [], { to: 'failed', failure: 'gave_up' })
    await put(ledger, { key: 'k', dueAt: 9e9 })
    t.same(await ledger.retry(id, BOOKING), { obstacle: 'key-taken' })
  },
)
