import t from 'tap'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { TimeLimitStore } from '../../src/storage/time-limits/time-limit-store.ts'
import { freshUrl, open } from '../helper/engines.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { until } from '../helper/service.ts'
import { startSweeper } from './sweeper.ts'
import { crowd, MINUTE, SWEEP_MS } from './sweeping.ts'

t.test('two replicas share the sweeps: one makes each', async (t) => {
  const clock = new ManualClock()
  const sandbox = await startSandbox({ clock })
  t.teardown(() => sandbox.close())
  const url = await freshUrl(t, 'postgres')
  const sessions = crowd(sandbox, 20)
  const rule = { room: 'crowded', requestedBy: 'booking', maxMinutes: 600, warnMinutes: undefined }
  const { limits, ledger } = await startSweeper(t, sandbox, url, clock)
  await limits.upsertRule(rule, { name: 'booking', operator: false })
  await until(async () => (await ledger.backlog()).pending === 20)
  await startSweeper(t, sandbox, url, clock)
  const before = sandbox.calls.length
  for (let sweeps = 1; sweeps <= 10; sweeps += 1) {
    const late = sandbox.startSession({ room: sessions[0]?.room.id as string })
    await clock.advance(SWEEP_MS)
    await until(async () => (await ledger.list({ key: `limit:${late.id}` }, 1)).length === 1)
  }
  t.equal(sandbox.calls.length - before, 10)
  t.equal((await ledger.backlog()).pending, 30)
})

t.test('replicas whose clocks are not quite the same do not make a sweep twice', async (t) => {
  const url = await freshUrl(t, 'postgres')
  const claims = async (clock: ManualClock) => {
    const database = await open(t, url, clock)
    return () => new TimeLimitStore(database.ledger, database, undefined).claimSweep(SWEEP_MS)
  }
  const clock = new ManualClock()
  const [ahead, behind] = [new ManualClock(clock.now() + 40), new ManualClock(clock.now() - 40)]
  const hourBehind = new ManualClock(clock.now() - 60 * MINUTE)
  t.match(await (await claims(ahead))(), { claimed: true })
  for (const other of [clock, behind])
    t.same(await (await claims(other))(), { claimed: false, nextAt: ahead.now() + SWEEP_MS })
  t.match(
    await (await claims(hourBehind))(),
    { claimed: true },
    'a clock that was set back is another matter',
  )
})
