import t from 'tap'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { until } from '../helper/service.ts'
import { blocks, forExamples } from './examples.ts'

t.test('every request of docs/time-limits.md does what it says', async (t) => {
  const sandbox = await startSandbox()
  t.teardown(() => sandbox.close())
  const room = sandbox.createRoom({ friendlyUrl: 'demo-room' })
  const first = sandbox.startSession({ room: room.id })
  const { shell } = await forExamples(t, sandbox, { SWEEP_INTERVAL: '1s' })
  const [, rule = '', booking = '', more = '', closed = '', why = '', clean = ''] = blocks(
    'time-limits.md',
    'sh',
  )
  t.match(await shell(rule), /"maxMinutes":50,"warnMinutes":\[10,2\],"requestedBy":"booking"/)
  t.match(await shell(booking), /"key":"booking:8731".*"warnMinutes":\[10,2\]/)
  t.match(await shell(more), /"state":"pending".*"inForce":\{"ending":/)
  t.match(await shell(why), /"why":"It will be ended at .* because booking asked for it/)
  t.match(await shell(closed), /"holdUntil":.*\n?.*"data":\[\{"id":/)
  await until(() => !first.live)
  const again = sandbox.startSession({ room: room.id })
  await until(() => !again.live)
  t.pass('who walks back in is out again')
  t.match(await shell(clean), /"liftedBy":"booking".*\n?.*"maxMinutes":50/)
})
