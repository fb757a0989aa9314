import { sql } from 'kysely'
import t from 'tap'
import { openDatabase } from '../../src/storage/engine/database.ts'
import type { Db, EndingsTable } from '../../src/storage/schema.ts'
import { freshUrl, onEveryEngine, open } from '../helper/engines.ts'
import { BOOKING, claimOne, endCall, put } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'

onEveryEngine(t, 'the tables refuse what the life cycle forbids', async (t, url) => {
  const { ledger, db } = await open(t, url, new ManualClock(1000))
  const { id } = await put(ledger)
  const forbidden: Array<[string, Partial<Record<keyof EndingsTable, unknown>>]> = [
    ['an unknown state', { state: 'running', finished_at: 1 }],
    ['ended without an outcome', { state: 'ended', finished_at: 1 }],
    ['ended at no time', { state: 'ended', outcome: 'ended' }],
    ['an unknown outcome', { state: 'ended', outcome: 'perhaps', finished_at: 1 }],
    ['an outcome before its end', { outcome: 'ended' }],
    ['failed without a failure', { state: 'failed', finished_at: 1 }],
    ['an unknown failure', { state: 'failed', failure: 'bad_luck', finished_at: 1 }],
    ['pending and finished', { finished_at: 1 }],
    ['claimed and over', { state: 'cancelled', finished_at: 1, claimed_until: 5 }],
    ['confirmed and pending', { confirmed_at: 1 }],
    ['an attempt before it is due', { due_at: 10, next_attempt_at: 9 }],
    ['an unknown kind of target', { target_kind: 'planet' }],
    ['urgency other than yes or no', { urgent: 2 }],
    ['a negative count', { attempt: -1 }],
  ]
  for (const [what, change] of forbidden)
    await t.rejects(
      db
        .updateTable('endings')
        .set(change as never)
        .where('id', '=', id)
        .execute(),
      what,
    )
  t.match(await ledger.find(id), { state: 'pending' })
})

onEveryEngine(t, 'what a process finds when it starts', async (t, url, engine) => {
  const clock = new ManualClock(1000)
  const before = await open(t, url, clock)
  await put(before.ledger)
  const claimed = await claimOne(before.ledger, 60_000)
  await before.ledger.record(claimed, [endCall('retry', { started_at: 900 })], {
    to: 'pending',
    nextAttemptAt: 1000,
    retrySince: 1000,
  })
  await claimOne(before.ledger, 60_000)
  await before.ledger.setControl({ name: 'pause', since: 1000, until: 9000, why: 'answered 429' })
  await before.ledger.setControl({ name: 'pause', since: 1500, until: 4000, why: 'shorter' })
  await before.close()

  const { ledger } = await open(t, url, clock)
  t.equal(await ledger.clearClaims(), engine === 'sqlite' ? 1 : 0, 'only a single process may free claims')
  t.equal((await ledger.claim(1, 1)).length, 0, 'a pause that is written down holds whoever claims')
  t.same(await ledger.control(), [{ name: 'pause', since: 1000, until: 9000, why: 'answered 429' }])
})

onEveryEngine(t, 'after a refusal, what was being retried gets the time back', async (t, url) => {
  const clock = new ManualClock(1000)
  const { ledger } = await open(t, url, clock)
  await put(ledger, { reason: 'tried' })
  await put(ledger, { reason: 'untried', dueAt: 2000 })
  await ledger.record(await claimOne(ledger), [], { to: 'pending', nextAttemptAt: 1500, retrySince: 1000 })
  await ledger.setControl({ name: 'refusal', since: 1200, until: 61_200, why: 'answered 401' })
  await clock.advanceTo(101_200)
  await ledger.endRefusal()
  const rows = await ledger.list({}, 10)
  t.same(Object.fromEntries(rows.map((row) => [row.reason, row.retry_since])), {
    tried: 101_000,
    untried: null,
  })
  t.same(await ledger.control(), [])
  await ledger.endRefusal()
  t.equal((await ledger.list({ reason: 'tried' }, 1))[0]?.retry_since, 101_000, 'once')
})

onEveryEngine(
  t,
  'what finished long ago goes, in small batches; what is pending never does',
  async (t, url) => {
    const clock = new ManualClock(1000)
    const { ledger, db } = await open(t, url, clock)
    const old = await put(ledger)
    await ledger.record(await claimOne(ledger), [endCall('ended')], { to: 'ended', outcome: 'ended' })
    await put(ledger, { reason: 'pending' })
    await clock.advance(1000)
    const { id } = await put(ledger, { reason: 'young' })
    await ledger.cancel(id, BOOKING)
    t.equal(await ledger.prune(1500), false)
    t.same((await ledger.list({}, 10)).map((row) => row.reason).sort(), ['pending', 'young'])
    t.same(await ledger.attempts(old.id), [])
    t.equal(await count(db, 'attempts'), 0)

    const many = Array.from({ length: 101 }, (_, i) => put(ledger, { dueAt: 9e9, key: `k${i}` }))
    for (const row of await Promise.all(many)) await ledger.cancel(row.id, BOOKING)
    let batches = 1
    for (; await ledger.prune(9e9); batches += 1);
    t.equal(batches, 7, 'fifteen at once')
    t.equal(await count(db, 'endings'), 1)
  },
)

t.test('a second process is refused on the same file', async (t) => {
  const url = await freshUrl(t, 'sqlite')
  const first = await open(t, url, new ManualClock())
  await t.rejects(openDatabase({ url, clock: new ManualClock() }), {
    name: 'DatabaseInUseError',
    code: 'DATABASE_IN_USE',
  })
  await first.close()
  const second = await openDatabase({ url, clock: new ManualClock() })
  t.equal((await sql<{ mode: string }>`pragma journal_mode`.execute(second.db)).rows.length, 1)
  await second.close()
})

async function count(db: Db, table: 'endings' | 'attempts'): Promise<number> {
  const { rows } = await sql<{ n: number }>`select count(*) as n from ${sql.table(table)}`.execute(db)
  return Number(rows[0]?.n)
}
