import t, { type Test } from 'tap'
import { Ledger } from '../../src/storage/ledger.ts'
import type { EndingRow, Engine } from '../../src/storage/schema.ts'
import { seeded } from '../helper/crash.ts'
import { freshUrl, onEveryEngine, open } from '../helper/engines.ts'
import { BOOKING, claimOne, endCall, put } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const NOON = Date.parse('2026-11-23T12:00:00Z')
const ENDED = { to: 'ended', outcome: 'ended' } as const
const RETRIED = { to: 'pending', nextAttemptAt: NOON, retrySince: NOON } as const

async function opened(t: Test, url: string, now = NOON) {
  const clock = new ManualClock(now)
  return { ...(await open(t, url, clock)), clock }
}

/** Everything that was counted in this day, as one point. */
async function counted(ledger: Ledger, at = NOON) {
  const [point] = await ledger.statistics('day', at - (at % DAY), at - (at % DAY) + DAY)
  return point
}

/** Claims an ending that is due, and calls so long (ms) after it was. */
async function claimedLate(ledger: Ledger, lateMs: number, dueAt = ledger.clock.now()) {
  const { id } = await put(ledger, { dueAt })
  const claimed = await claimOne(ledger)
  t.equal(claimed.id, id)
  return { claimed, call: endCall('ended', { session: claimed.target_id, started_at: dueAt + lateMs }) }
}

onEveryEngine(t, 'every way to be over is counted, each once, with every end call', async (t, url) => {
  const { ledger } = await opened(t, url)
  const ends = async (times: number, end: (claimed: EndingRow) => Promise<unknown>) => {
    for (let i = 0; i < times; i += 1) {
      await put(ledger, { dueAt: NOON })
      await end(await claimOne(ledger))
    }
  }
  const at = { started_at: NOON }
  await ends(7, (one) => ledger.record(one, [endCall('ended', at)], ENDED))
  await ends(6, (one) => ledger.record(one, [], { to: 'ended', outcome: 'nothing_live' }))
  const over = endCall('already_ended', { ...at, status: 404 })
  await ends(5, (one) =>
    ledger.record(one, [{ ...over, id: one.id }], { to: 'ended', outcome: 'already_ended' }),
  )
  const failures = ['session_not_found', 'room_not_found', 'rejected', 'gave_up'] as const
  for (const [i, failure] of failures.entries())
    await ends(1 + i, (one) =>
      ledger.record(one, [endCall('rejected', { ...at, status: 403 })], { to: 'failed', failure }),
    )
  for (let i = 0; i < 8; i += 1) await ledger.cancel((await put(ledger, { dueAt: NOON + HOUR })).id, BOOKING)
  const { target_id } = await put(ledger, { dueAt: NOON + HOUR })
  await ledger.sessionSeenOver(target_id)
  await ends(1, (one) =>
    ledger.record(one, [endCall('retry', { ...at, status: null }), endCall('retry', at)], {
      ...RETRIED,
      nextAttemptAt: NOON + HOUR,
    }),
  )
  t.same(await counted(ledger), {
    at: NOON - (NOON % DAY),
    finished: {
      ended: 7,
      nothing_live: 6,
      already_ended: 6,
      session_not_found: 1,
      room_not_found: 2,
      rejected: 3,
      gave_up: 4,
      cancelled: 8,
    },
    calls: { 200: 7, 403: 10, 404: 5, 503: 1, none: 1 },
    lateness: { count: 23, p50Ms: 0, p99Ms: 0, mostMs: 0 },
  })
})

onEveryEngine(t, 'many that are carried out together are counted together', async (t, url) => {
  const { ledger } = await opened(t, url)
  await Promise.all(Array.from({ length: 150 }, () => put(ledger, { dueAt: NOON })))
  const claimed = await ledger.claim(150, HOUR)
  const record = (one: EndingRow, i: number) =>
    ledger.record(one, [endCall('ended', { started_at: NOON + i, status: i % 3 ? 200 : 204 })], ENDED)
  await Promise.all(claimed.map(record))
  const point = await counted(ledger)
  t.match(point, {
    finished: { ended: 150 },
    calls: { 200: 100, 204: 50 },
    lateness: { count: 150, mostMs: 149 },
  })
})

onEveryEngine(
  t,
  'what is written down again, or came too late, is not counted as if it were new',
  async (t, url) => {
    const { ledger, clock } = await opened(t, url)
    const { claimed, call } = await claimedLate(ledger, 3)
    for (let i = 0; i < 3; i += 1) await ledger.record(claimed, [call], ENDED)
    const once = { finished: { ended: 1 }, calls: { 200: 1 }, lateness: { count: 1, mostMs: 3 } }
    t.match(await counted(ledger), once)
    const second = await claimedLate(ledger, 4)
    const retried = { ...second.call, result: 'retry', status: 503 } as const
    for (let i = 0; i < 3; i += 1)
      await ledger.record(second.claimed, [retried], { ...RETRIED, nextAttemptAt: NOON + 1 })
    const withRetry = { finished: { ended: 1 }, calls: { 200: 1, 503: 1 }, lateness: { count: 2, mostMs: 4 } }
    t.match(await counted(ledger), withRetry)

    // Its lease is over, somebody else has it, and both report: its call was made, the rest is the other's.
    await clock.advance(1)
    const [first] = await ledger.claim(1, 10)
    await clock.advance(11)
    const [other] = await ledger.claim(1, HOUR)
    t.equal(first?.id, other?.id)
    const late = (started_at: number) => endCall('rejected', { started_at, status: 403 })
    const failed = { to: 'failed', failure: 'rejected' } as const
    t.equal(await ledger.record(first as EndingRow, [late(NOON)], failed), undefined)
    t.ok(await ledger.record(other as EndingRow, [late(NOON)], failed))
    const last = {
      finished: { ended: 1, rejected: 1 },
      calls: { 200: 1, 403: 2, 503: 1 },
      lateness: { count: 2 },
    }
    t.match(await counted(ledger), last)
    t.match(await counted(ledger), { finished: { rejected: 1 } })
  },
)

onEveryEngine(
  t,
  'a first call that two processes made counts as one, the one that was written down first',
  async (t, url) => {
    const { ledger, clock } = await opened(t, url)
    const { claimed, call } = await claimedLate(ledger, 2)
    await clock.advance(2 * MINUTE)
    const other = await claimOne(ledger)
    await ledger.record(other, [endCall('ended', { started_at: NOON + 2 * MINUTE })], ENDED)
    t.equal(await ledger.record(claimed, [call], ENDED), undefined)
    const expected = { finished: { ended: 1 }, calls: { 200: 2 }, lateness: { count: 1, mostMs: 2 * MINUTE } }
    t.match(await counted(ledger), expected)
  },
)

onEveryEngine(t, 'a late 2xx of what was seen to be over finishes nothing again', async (t, url) => {
  const { ledger, clock } = await opened(t, url)
  const { claimed, call } = await claimedLate(ledger, 2)
  await clock.advance(2 * MINUTE)
  await ledger.sessionSeenOver(claimed.target_id)
  t.match(await ledger.record(claimed, [call], ENDED), { outcome: 'ended' })
  t.match(await counted(ledger), {
    finished: { already_ended: 1 },
    calls: { 200: 1 },
    lateness: { count: 1, mostMs: 2 },
  })
  t.same(Object.keys((await counted(ledger))?.finished ?? {}), ['already_ended'])
})

onEveryEngine(t, 'what is given back is untried where nothing says otherwise', async (t, url) => {
  const { ledger } = await opened(t, url)
  const { claimed, call } = await claimedLate(ledger, 2)
  await ledger.record(claimed, [], { to: 'released' })
  const again = await claimOne(ledger)
  await ledger.record(again, [{ ...call, status: 401, result: 'retry' }], {
    to: 'released',
    error: 'answered 401',
  })
  await ledger.record(await claimOne(ledger), [endCall('ended', { started_at: NOON + 90 })], ENDED)
  t.match(await counted(ledger), { calls: { 200: 1, 401: 1 }, lateness: { count: 1, mostMs: 2 } })
})

onEveryEngine(t, 'p50 and p99 are right within a tenth, the greatest exactly', async (t, url) => {
  const random = seeded(11)
  for (const scale of [3, 40, 900, 600_000]) {
    const { ledger, close } = await opened(
      t,
      await freshUrl(t, url.startsWith('file:') ? 'sqlite' : 'postgres'),
    )
    const late = Array.from({ length: 120 }, () => Math.floor(random() ** 3 * scale))
    await Promise.all(late.map(() => put(ledger, { dueAt: NOON })))
    const claimed = await ledger.claim(120, HOUR)
    await Promise.all(
      claimed.map((one, i) =>
        ledger.record(one, [endCall('ended', { started_at: NOON + (late[i] as number) })], ENDED),
      ),
    )
    late.sort((a, b) => a - b)
    const point = await counted(ledger)
    const isNear = (found = -1, true_ = -1) => Math.abs(found - true_) <= true_ / 10
    t.equal(point?.lateness?.count, 120)
    t.ok(isNear(point?.lateness?.p50Ms, late[59]), `p50 ${point?.lateness?.p50Ms} of ${late[59]}`)
    t.ok(isNear(point?.lateness?.p99Ms, late[118]), `p99 ${point?.lateness?.p99Ms} of ${late[118]}`)
    t.equal(point?.lateness?.mostMs, late[119])
    await close()
  }
})

onEveryEngine(t, 'minutes, hours and days, each with what was in it', async (t, url) => {
  const { ledger, clock } = await opened(t, url, NOON)
  const times = [0, 1, MINUTE, HOUR - 1, HOUR, 11 * HOUR, 12 * HOUR, 36 * HOUR, 20 * DAY]
  for (const time of times) {
    await clock.advanceTo(NOON + time)
    await ledger.cancel((await put(ledger, { dueAt: NOON + 30 * DAY })).id, BOOKING)
  }
  const found = async (step: 'minute' | 'hour' | 'day', from: number, to: number) =>
    (await ledger.statistics(step, from, to)).map(({ at, finished }) => [at - NOON, finished.cancelled])
  t.same(await found('minute', NOON, NOON + HOUR), [
    [0, 2],
    [MINUTE, 1],
    [59 * MINUTE, 1],
  ])
  t.same(await found('minute', NOON + 1 * MINUTE, NOON + 59 * MINUTE), [[MINUTE, 1]])
  t.same(await found('minute', NOON, NOON + 13 * HOUR), [
    [0, 2],
    [MINUTE, 1],
    [59 * MINUTE, 1],
    [HOUR, 1],
    [11 * HOUR, 1],
    [12 * HOUR, 1],
  ])
  t.same(await found('hour', NOON, NOON + DAY), [
    [0, 4],
    [HOUR, 1],
    [11 * HOUR, 1],
    [12 * HOUR, 1],
  ])
  t.same(await found('day', NOON - DAY / 2, NOON + 30.5 * DAY), [
    [-DAY / 2, 6],
    [DAY / 2, 1],
    [1.5 * DAY, 1],
    [19.5 * DAY, 1],
  ])
  t.same(await found('hour', NOON - 10 * DAY, NOON), [])
})

t.test('two processes on one ledger add up', async (t) => {
  const url = await freshUrl(t, 'postgres')
  const [one, other] = [await opened(t, url), await opened(t, url)]
  await Promise.all(Array.from({ length: 40 }, () => put(one.ledger, { dueAt: NOON })))
  const shares = [
    { ledger: one.ledger, rows: await one.ledger.claim(15, HOUR), late: 9 },
    { ledger: other.ledger, rows: await other.ledger.claim(40, HOUR), late: 30 },
  ]
  t.same(
    shares.map(({ rows }) => rows.length),
    [15, 25],
  )
  await Promise.all(
    shares.flatMap(({ ledger, rows, late }) =>
      rows.map((row) => ledger.record(row, [endCall('ended', { started_at: NOON + late })], ENDED)),
    ),
  )
  const point = await counted(one.ledger)
  t.match(point, {
    finished: { ended: 40 },
    calls: { 200: 40 },
    lateness: { count: 40, p50Ms: 30, mostMs: 30 },
  })
  t.same(await counted(other.ledger), point)
  const rows = await one.db.selectFrom('statistics').select('source').distinct().execute()
  t.equal(rows.length, 2, 'in rows of its own each')
})

onEveryEngine(t, 'a rehearsal counts nothing', async (t, url) => {
  const { ledger, ...database } = await opened(t, url)
  const { id } = await put(ledger, { dueAt: NOON + HOUR })
  const rehearsal = new Ledger(database, { isRehearsal: true })
  t.match(await rehearsal.cancel(id, BOOKING), { ending: { state: 'cancelled' } })
  t.equal(await counted(ledger), undefined)
})

onEveryEngine(
  t,
  'minutes go after eight days, hours with all that is old',
  async (t, url, engine: Engine) => {
    const { ledger, clock, db } = await opened(t, url)
    const cancelled = async () => ledger.cancel((await put(ledger, { dueAt: NOON + 300 * DAY })).id, BOOKING)
    for (let i = 0; i < 120; i += 1) {
      await cancelled()
      await clock.advance(MINUTE)
    }
    const rows = async () => {
      const found = await db.selectFrom('statistics').select('step').execute()
      return Object.fromEntries(
        ['minute', 'hour'].map((step) => [step, found.filter((row) => row.step === step).length]),
      )
    }
    const pruned = async () => {
      let batches = 1
      for (; await ledger.prune(clock.now() - 90 * DAY); batches += 1);
      return batches
    }
    await clock.advanceTo(NOON + 8 * DAY)
    await pruned()
    t.same(await rows(), { minute: 120, hour: 2 }, engine)
    await clock.advanceTo(NOON + 8 * DAY + HOUR)
    await pruned()
    t.same(await rows(), { minute: 60, hour: 2 })
    await clock.advanceTo(NOON + 9 * DAY)
    t.equal(await pruned(), 2, 'fifty at once')
    t.same(await rows(), { minute: 0, hour: 2 })
    await clock.advanceTo(NOON + 90 * DAY + HOUR)
    await pruned()
    t.same(await rows(), { minute: 0, hour: 1 })
  },
)
