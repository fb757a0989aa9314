import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { WINDOW_MS } from '../../src/calls/permits.ts'
import { type Session, startSandbox } from '../../src/sandbox/sandbox.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { until } from '../helper/service.ts'
import { count, crowd, limitOf, MINUTE, SWEEP_MS, startSweeping } from './sweeping.ts'

const MANY = 5000
const AT_EACH_PAGE = 3

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** A sandbox full of sessions, some of which end and some of which start whenever a page of them is asked for. */
async function busySandbox() {
  const clock = new ManualClock()
  const sandbox = await startSandbox({ clock })
  const before = crowd(sandbox, MANY)
  const room = before[0]?.room.id as string
  const ended = new Set<string>()
  const calmDown = sandbox.onCall(({ operation }) => {
    if (operation !== 'sessions') return
    for (let i = 0; i < AT_EACH_PAGE; i += 1) {
      // All over the list: an end before the place where a sweep is would move what an offset counts.
      const { id } = before[Math.floor(((ended.size * 7919) % MANY) / 2) * 2] as { id: string }
      sandbox.endSession(id)
      ended.add(id)
      sandbox.startSession({ room })
    }
  })
  return { clock, sandbox, before, ended, calmDown }
}

t.test(
  `${MANY} live sessions, some ending and some starting meanwhile: about 50 calls, and none is missed`,
  async (t) => {
    const { clock, sandbox, before, ended, calmDown } = await busySandbox()
    t.teardown(() => sandbox.close())
    const service = await startSweeping(t, { clock, sandbox, env: { DEFAULT_TIME_LIMIT: '50m' } })
    // It goes through them in order, and this one stays live.
    await limitOf(service, before.at(-1) as Session)
    const calls = count(service, 'sessions')
    t.ok(calls >= 50 && calls <= 53, `${calls} calls`)
    const rows = await service.app.database.db.selectFrom('endings').select(['target_id', 'due_at']).execute()
    const dueAt = new Map(rows.map((row) => [row.target_id, row.due_at]))
    t.equal(dueAt.size, rows.length, 'one each')
    const missed = before.filter(({ id }) => !ended.has(id) && !dueAt.has(id))
    t.same(missed, [], 'each that was live all along has its ending')
    t.ok(before.every(({ id, startTime }) => !dueAt.has(id) || dueAt.get(id) === startTime + 50 * MINUTE))

    calmDown()
    // Sweeps may use a part of the calls only: this one goes on when the calls of the one before no longer count.
    await clock.advance(SWEEP_MS)
    await clock.advance(WINDOW_MS)
    await service.sandbox.waitForCalls(() => count(service, 'sessions') >= calls + 50)
    for (const session of sandbox.liveSessions()) await limitOf(service, session)
    t.pass('what began meanwhile is found by then, or by the next one')
    t.equal(count(service, 'end'), 0)
  },
)

t.test('a sweep holds at most a page or two in memory', async (t) => {
  const { clock, sandbox } = await busySandbox()
  t.teardown(() => sandbox.close())
  // None of the sessions is anybody's business, so that what is left of them would be left for no reason.
  const service = await startSweeping(t, { clock, sandbox })
  const { digitalSamba } = service.app
  const pages: WeakRef<object>[] = []
  const held: number[] = []
  const livePage = digitalSamba.livePage.bind(digitalSamba)
  digitalSamba.livePage = async (...args) => {
    if (pages.length % 10 === 9) {
      await nextTurn()
      collectGarbage()
      held.push(pages.filter((page) => page.deref()).length)
    }
    const page = await livePage(...args)
    pages.push(new WeakRef(page.sessions))
    return page
  }
  const body = { maxMinutes: 50 }
  await service.request('PUT', '/v1/time-limits/another-room', { body })
  await until(() => held.length === 5)
  t.ok(Math.max(...held) <= 2, `pages in memory: ${held.join(', ')}`)
})
