import { sql } from 'kysely'
import t from 'tap'
import { Ledger } from '../../src/storage/ledger.ts'
import type { EndingRow } from '../../src/storage/schema.ts'
import { onEveryEngine, open } from '../helper/engines.ts'
import { BOOKING, claimOne, endCall, put } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'

const ROUNDS = 100
const SESSION = 'edb7a1cb-0627-44ed-9ae4-62a344d6e8a9'
const ENDED = { to: 'ended', outcome: 'ended' } as const

async function scene(t: Parameters<typeof open>[0], url: string) {
  const clock = new ManualClock(1000)
  const { ledger, db } = await open(t, url, clock)
  const target = { session: SESSION }
  /** An ending of that session that answered 2xx. */
  const ended = async (more = {}) => {
    await put(ledger, { target, ...more })
    return (await ledger.record(
      await claimOne(ledger),
      [endCall('ended', { session: SESSION })],
      ENDED,
    )) as EndingRow
  }
  return { clock, ledger, db, target, ended }
}

onEveryEngine(t, 'what answered 2xx is looked up once, and confirmed once', async (t, url) => {
  const { clock, ledger, ended } = await scene(t, url)
  const { id, confirm_at: at } = await ended()
  t.equal(at, 6000, 'five seconds later')
  t.equal(await ledger.nextConfirmation(), 6000)
  t.same(await ledger.claimConfirmations(1, 60_000), [], 'not before')
  await clock.advanceTo(6000)
  const claims = await Promise.all(Array.from({ length: 4 }, () => ledger.claimConfirmations(2, 60_000)))
  t.match(claims.flat(), [{ ending: { id }, sessions: [SESSION] }], 'by one of four')
  t.match(await ledger.sessionSeenOver(SESSION), [{ id, confirmed_at: 6000, confirm_at: null }])
  t.same(await ledger.sessionSeenOver(SESSION), [], 'a repeat changes nothing')
  t.equal(await ledger.nextConfirmation(), undefined)
})

onEveryEngine(t, 'one that is seen live is pending again, three times at most', async (t, url) => {
  const { clock, ledger, ended } = await scene(t, url)
  let row = await ended({ key: 'k' })
  for (let times = 1; times <= 3; times += 1) {
    await clock.advance(60_000)
    t.match(await ledger.reopen(row), {
      state: 'pending',
      key: 'k',
      outcome: null,
      finished_at: null,
      confirm_at: null,
      reopened: times,
      due_at: 0,
      retry_base: times,
    })
    t.equal(await ledger.reopen(row), undefined, 'not twice for the same sight')
    row = (await ledger.record(await claimOne(ledger), [endCall('ended')], ENDED)) as EndingRow
  }
  t.equal(await ledger.reopen(row), undefined)
  t.match(await ledger.find(row.id), {
    state: 'ended',
    outcome: 'ended',
    confirm_at: null,
    confirmed_at: null,
  })
})

onEveryEngine(t, 'its key may have been taken meanwhile', async (t, url) => {
  const { ledger, ended } = await scene(t, url)
  const row = await ended({ key: 'k' })
  const other = await put(ledger, { key: 'k', dueAt: 9e9 })
  t.match(await ledger.reopen(row), { state: 'pending', key: null })
  t.match(await ledger.find(other.id), { key: 'k' })
})

onEveryEngine(
  t,
  'what is confirmed, cancelled or failed is never pending again by a sight',
  async (t, url) => {
    const { ledger, ended, target } = await scene(t, url)
    const row = await ended()
    await ledger.sessionSeenOver(SESSION)
    t.equal(await ledger.reopen(row), undefined, 'confirmed')
    const failed = await put(ledger, { target })
    const claimed = await claimOne(ledger)
    await ledger.record(claimed, [], { to: 'failed', failure: 'rejected' })
    t.equal(await ledger.reopen(claimed), undefined, 'failed')
    const { id } = await put(ledger, { target, dueAt: 9e9 })
    await ledger.cancel(id, BOOKING)
    t.equal(await ledger.reopen((await ledger.find(id)) as EndingRow), undefined, 'cancelled')
    t.same(await ledger.sessionSeenOver(SESSION), [], 'nor over by one')
    t.match(await ledger.find(failed.id), { state: 'failed' })
  },
)

onEveryEngine(t, 'a room is confirmed when all its sessions are', async (t, url) => {
  const { ledger } = await scene(t, url)
  await put(ledger, { target: { room: 'a-room' } })
  const calls = ['s1', 's2', 's1'].map((session) => endCall('ended', { session }))
  const row = (await ledger.record(await claimOne(ledger), calls, ENDED)) as EndingRow
  t.same(await ledger.sessionSeenOver('s1'), [])
  t.match(await ledger.find(row.id), { confirmed_at: null, confirm_at: 6000 })
  t.match(await ledger.sessionSeenOver('s2'), [{ id: row.id, confirmed_at: 1000 }])
})

onEveryEngine(t, 'a sight against a report, a claim and another sight', async (t, url) => {
  const { ledger, target } = await scene(t, url)
  for (let round = 0; round < ROUNDS; round += 1) {
    const { id } = await put(ledger, { target })
    const claimed = round % 2 === 0 ? await claimOne(ledger) : undefined
    const racers = [
      () => ledger.sessionSeenOver(SESSION),
      () =>
        claimed
          ? ledger.record(claimed, [endCall('ended', { session: SESSION })], ENDED)
          : ledger.claim(1, 1),
      () => ledger.sessionSeenOver(SESSION),
    ]
    const [a, b, c] = [round % 3, (round + 1) % 3, (round + 2) % 3].map(
      (i) => racers[i] as () => Promise<unknown>,
    )
    await Promise.all([a?.(), b?.(), c?.()])
    const row = (await ledger.find(id)) as EndingRow
    const fits =
      row.state === 'ended'
        ? row.outcome === 'ended' || (row.outcome === 'already_ended' && row.confirmed_at !== null)
        : !claimed && row.claimed_until !== null
    if (!fits) return t.fail(`round ${round}: ${JSON.stringify(row)}`)
    if (row.state === 'pending') await ledger.record(row, [], ENDED)
    await ledger.sessionSeenOver(SESSION)
  }
  t.pass(`${ROUNDS} rounds`)
})

onEveryEngine(t, 'the schema refuses what cannot be', async (t, url) => {
  const { db, ended, ledger } = await scene(t, url)
  const { id } = await ended()
  const set = (change: string) => sql`update endings set ${sql.raw(change)} where id = ${id}`.execute(db)
  for (const change of [
    'reopened = 4',
    'reopened = -1',
    'confirmed_at = 1',
    "outcome = 'already_ended'",
    "state = 'pending', outcome = null, finished_at = null",
  ])
    await t.rejects(set(change), change)
  await set('confirmed_at = 1, confirm_at = null')
  t.match(await ledger.find(id), { confirmed_at: 1 })
})

onEveryEngine(t, 'a webhook that comes before its success is committed confirms it', async (t, url) => {
  const database = await open(t, url, new ManualClock(1000))
  for (const told of [[], ['booking']]) {
    const ledger = new Ledger(database, { told: new Set(told) })
    for (let round = 0; round < 20; round += 1) {
      const one = await put(ledger)
      const [session] = [one.target_id]
      const recorded = ledger.record(
        await claimOne(ledger),
        [endCall('ended', { id: one.id, session })],
        ENDED,
      )
      // The next turn, when the success is on its way.
      await new Promise(setImmediate)
      await ledger.sessionSeenOver(session)
      await recorded
    }
  }
  const unconfirmed = await database.db
    .selectFrom('endings')
    .select('id')
    .where('confirmed_at', 'is', null)
    .execute()
  t.same(unconfirmed, [])
})
