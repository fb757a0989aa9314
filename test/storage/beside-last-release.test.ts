import t from 'tap'
import type { Ledger } from '../../src/storage/ledger.ts'
import { freshUrl, open } from '../helper/engines.ts'
import { BOOKING, endCall, instruction, stored } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { query } from '../helper/postgres.ts'
import { type LastLedger as Last, Ledger as LastLedger, openDatabase } from './releases/last.js'

const LEASE_MS = 60_000
const EACH = 60

/** The release before this one, running; and this one, which has just brought the ledger up to date under it. */
async function sideBySide(t: Parameters<typeof open>[0]) {
  const url = await freshUrl(t, 'postgres')
  const clock = new ManualClock(1_000_000)
  const database = await openDatabase({ url, clock })
  t.teardown(() => database.close())
  const last: Last = new LastLedger({ ...database, clock })
  const before = stored(await last.store(instruction({ key: 'before', dueAt: 2_000_000 })))
  const { ledger: current } = await open(t, url, clock)
  return { url, clock, last, current, before }
}

/** Claims and carries out all that is due, as its worker does. */
async function carryOut(ledger: Last | Ledger, done: string[]): Promise<void> {
  for (;;) {
    const claimed = await ledger.claim(7, LEASE_MS)
    if (claimed.length === 0) return
    for (const row of claimed) {
      done.push(row.id)
      const call = endCall('ended', { session: row.target_id })
      await ledger.record(row, [call], { to: 'ended', outcome: 'ended' })
    }
  }
}

t.test('what either of them stores, the two carry out, each ending once', async (t) => {
  const { last, current } = await sideBySide(t)
  for (let i = 0; i < EACH; i += 1) {
    await last.store(instruction({ requestedBy: i % 2 ? 'booking' : 'billing', urgent: i % 7 === 0 }))
    await current.store(instruction({ requestedBy: i % 3 ? 'booking' : 'billing', urgent: i % 5 === 0 }))
  }
  const [byLast, byCurrent]: [string[], string[]] = [[], []]
  await Promise.all([carryOut(last, byLast), carryOut(current, byCurrent)])
  const done = [...byLast, ...byCurrent]
  t.equal(new Set(done).size, 2 * EACH, 'all of them')
  t.equal(done.length, 2 * EACH, 'nothing twice')
  t.ok(byLast.length > 0 && byCurrent.length > 0, `${byLast.length} and ${byCurrent.length}`)
  for (const id of done) t.match(await current.find(id), { state: 'ended', claimed_until: null })
})

t.test('each sees, replaces, takes back and tries again what the other has stored', async (t) => {
  const { last, current, before } = await sideBySide(t)
  const replaced = stored(await current.store(instruction({ key: 'before', dueAt: 3_000_000 })))
  t.equal(replaced.id, before.id, 'the key is the same key')
  t.match(await last.find(before.id), { state: 'pending', due_at: 3_000_000 })
  t.match(await last.cancel(before.id, BOOKING), { ending: { state: 'cancelled' } })
  t.match(await current.find(before.id), { state: 'cancelled' })

  const { id } = stored(await last.store(instruction()))
  const [claimed] = await current.claim(1, LEASE_MS)
  t.equal(claimed?.id, id)
  t.same(await last.claim(1, LEASE_MS), [], 'a claim is a claim')
  t.match(await last.cancel(id, BOOKING), { obstacle: 'in-progress' })
  if (claimed)
    await current.record(claimed, [endCall('rejected')], {
      to: 'failed',
      failure: 'rejected',
    })
  t.match(await last.retry(id, BOOKING), { ending: { state: 'pending' } })
  t.match(await current.find(id), { state: 'pending', failure: null })
})

t.test('a report of either about what the other has claimed since changes nothing', async (t) => {
  const { clock, last, current } = await sideBySide(t)
  for (const [first, second] of [
    [last, current],
    [current, last],
  ] as const) {
    const { id } = stored(await current.store(instruction()))
    const [stale] = await first.claim(1, LEASE_MS)
    await clock.advance(LEASE_MS + 1)
    const [fresh] = await second.claim(1, LEASE_MS)
    t.equal(fresh?.id, id)
    if (!stale || !fresh) return t.fail('not claimed')
    await first.record(stale, [endCall('rejected')], { to: 'failed', failure: 'rejected' })
    t.match(await current.find(id), { state: 'pending', claim: fresh.claim })
    await second.record(fresh, [endCall('ended')], { to: 'ended', outcome: 'ended' })
    t.match(await current.find(id), { state: 'ended' })
  }
})

t.test('a process of that release is refused once the ledger is newer than it knows', async (t) => {
  const { url, clock } = await sideBySide(t)
  const names = await query(url, 'select name from kysely_migration order by name')
  t.ok(names.length > 0)
  await t.rejects(openDatabase({ url, clock }), /migration/i)
})
