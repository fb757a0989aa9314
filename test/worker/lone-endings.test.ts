import { t } from 'tap'
import { onEveryEngine } from '../helper/engines.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { startService, until } from '../helper/service.ts'
import { tellNoTime } from '../simulation/simulate.ts'

const SECOND_MS = 1000

onEveryEngine(
  t,
  'who has carried one ending out waits for nobody with the next',
  async (t, databaseUrl, engine) => {
    if (engine === 'postgres') await tellNoTime(databaseUrl)
    const clock = new ManualClock()
    const { sandbox, request } = await startService(t, { databaseUrl, clock })
    const { id: room } = sandbox.createRoom({})
    const begin = clock.now()
    const ends = () => sandbox.calls.filter(({ operation }) => operation === 'end')
    for (let n = 1; n <= 4; n += 1) {
      const { id } = sandbox.startSession({ room })
      const dueAt = new Date(begin + n * SECOND_MS).toISOString()
      await request('POST', `/v1/sessions/${id}/end`, { body: { dueAt } })
    }
    for (let n = 1; n <= 4; n += 1) {
      await clock.advanceTo(begin + n * SECOND_MS)
      await until(() => ends().length === n)
      await until(async () => (await request('GET', '/v1/endings?state=ended')).json().data.length === n)
    }
    t.same(
      ends().map(({ at }) => at - begin),
      [1, 2, 3, 4].map((n) => n * SECOND_MS),
    )
  },
)

onEveryEngine(
  t,
  'the permit of a call is there before its ending is due, and goes back where that is cancelled',
  async (t, databaseUrl, engine) => {
    if (engine === 'postgres') await tellNoTime(databaseUrl)
    const clock = new ManualClock()
    const { sandbox, request, app } = await startService(t, { databaseUrl, clock })
    const { id: room } = sandbox.createRoom({})
    const { id: session } = sandbox.startSession({ room })
    const dueAt = clock.now() + 2 * SECOND_MS
    const body = { dueAt: new Date(dueAt).toISOString() }
    const taken = async () => {
      const { db } = app.database
      const query = db.selectFrom('permits').select('slot').where('free_at', '>', clock.now())
      return (await query.execute()).length
    }
    const { id } = (await request('POST', `/v1/sessions/${session}/end`, { body })).json()
    await clock.advanceTo(dueAt - SECOND_MS)
    t.equal(await taken(), 0)
    await clock.advanceTo(dueAt - 1)
    await until(async () => (await taken()) === 1)
    await request('POST', `/v1/endings/${id}/cancel`)
    await clock.advance(SECOND_MS)
    await until(async () => (await taken()) === 0)
    t.equal(sandbox.calls.length, 0)
  },
)
