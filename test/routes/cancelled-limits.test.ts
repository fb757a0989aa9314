import t from 'tap'
import type { Ending } from '../../src/routes/ending-schemas.ts'
import { onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { startScene } from './scene.ts'

// Found by the simulation: once one party had cancelled the ending of its own rule, no rule limited that session again.
onEveryEngine(
  t,
  'who cancels its own limit does not cancel that of somebody else',
  async (t, databaseUrl) => {
    const { request, sandbox } = await startScene(t, { databaseUrl })
    const session = sandbox.startSession({ room: sandbox.createRoom({ friendlyUrl: 'room' }).id })
    const rule = (room: string, maxMinutes: number, as: 'booking' | 'billing') =>
      request('PUT', `/v1/time-limits/${room}`, { body: { maxMinutes }, as })
    const pending = async (): Promise<Ending[]> =>
      (await request('GET', `/v1/endings?session=${session.id}&state=pending`)).json().data
    await rule('room', 50, 'booking')
    const own = await until(async () => (await pending())[0])
    t.equal((await request('POST', `/v1/endings/${own.id}/cancel`)).statusCode, 200)
    await rule('room', 45, 'booking')
    t.same(await pending(), [], 'a change of its own rule leaves it cancelled')
    await rule(session.room.id, 40, 'billing')
    t.match(await pending(), [{ requestedBy: 'billing', reason: 'time_limit' }])
  },
)
