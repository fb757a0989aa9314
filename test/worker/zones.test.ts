import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { ManualClock } from '../helper/manual-clock.ts'
import { until } from '../helper/service.ts'
import { limitOf, MINUTE, SECOND, setRule, startSweeping, sweep, tellStarted } from './sweeping.ts'

const HALF_HOUR = 30 * MINUTE
const ZONE = 'America/St_Johns'
/** When clocks are put back and forward there, and an instant of the ambiguous hours elsewhere. */
const CHANGES = ['2026-11-01T04:30:00Z', '2026-11-01T06:00:00Z', '2027-03-14T05:30:00Z']
const LIMITS = [20, 24 * 60]

/** Sessions that began at every half hour around the change: each is told in another of the three spellings. */
async function aroundTheChange(t: Test, change: number, maxMinutes: number) {
  const clock = new ManualClock(change + 3 * HALF_HOUR)
  const service = await startSweeping(t, { clock })
  const { sandbox } = service
  const room = sandbox.createRoom({ friendlyUrl: 'the-room' }).id
  const starts = [-4, -3, -2, -1, 0, 1, 2].flatMap((i) => [
    change + i * HALF_HOUR,
    change + i * HALF_HOUR - SECOND,
  ])
  const sessions = starts.map((startTime) => sandbox.startSession({ room, startTime }))
  t.same(
    new Set(sessions.map(({ sequence }) => sequence % 3)),
    new Set([0, 1, 2]),
    'each spelling is among them',
  )
  await setRule(service, 'the-room', maxMinutes)
  for (const session of sessions) {
    const { due_at, id } = await limitOf(service, session)
    t.equal(due_at - session.startTime, maxMinutes * MINUTE)
    const seen = (await service.request('GET', `/v1/endings/${id}`)).json()
    t.equal(Date.parse(seen.dueAt) - session.startTime, maxMinutes * MINUTE, 'as it is told')
  }
}

/** Sessions that live through the change. */
async function throughTheChange(t: Test, change: number) {
  const clock = new ManualClock(change - 25 * MINUTE)
  const service = await startSweeping(t, { clock })
  const { sandbox } = service
  const room = sandbox.createRoom({ friendlyUrl: 'the-room' }).id
  await setRule(service, 'the-room', 50)
  const sessions = ['told', 'swept', 'told', 'swept'].map((how) => ({
    how,
    session: sandbox.startSession({ room }),
  }))
  for (const { how, session } of sessions) if (how === 'told') await tellStarted(service, session)
  await sweep(service)
  for (const { session } of sessions) await limitOf(service, session)
  await clock.advanceTo(change - 1)
  await clock.advanceTo(change + 25 * MINUTE - 1)
  t.ok(sessions.every(({ session }) => session.live))
  await clock.advance(1)
  await until(() => sessions.every(({ session }) => !session.live))
  for (const { session } of sessions) t.equal((session.endTime ?? 0) - session.startTime, 50 * MINUTE)
}

/** This file again, in a process whose clock on the wall is that of the zone. */
if (process.env.CURFEW_TEST_ZONE === undefined)
  t.spawn(process.execPath, [fileURLToPath(import.meta.url)], {
    name: `where the clock on the wall is that of ${ZONE}`,
    env: { ...process.env, TZ: ZONE, CURFEW_TEST_ZONE: ZONE },
  })
else {
  t.equal(Intl.DateTimeFormat().resolvedOptions().timeZone, ZONE)
  for (const at of CHANGES) {
    for (const maxMinutes of LIMITS)
      t.test(`${maxMinutes} minutes around ${at}`, (t) => aroundTheChange(t, Date.parse(at), maxMinutes))
    t.test(`50 minutes through ${at}`, (t) => throughTheChange(t, Date.parse(at)))
  }
}
