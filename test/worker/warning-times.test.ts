import t, { type Test } from 'tap'
import { TimeLimitStore } from '../../src/storage/time-limits/time-limit-store.ts'
import { open } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { at, MINUTE, NOON, type Scene, startScene } from './warning-scene.ts'

const LATE: [left: number, warnMinutes: number[], told: [left: number, minutes: number][]][] = [
  [20, [10], [[10, 10]]],
  [
    10,
    [10, 2],
    [
      [10, 10],
      [2, 2],
    ],
  ],
  [
    9.5,
    [10, 2],
    [
      [9.5, 10],
      [2, 2],
    ],
  ],
  [
    7.4,
    [10, 2],
    [
      [7.4, 7],
      [2, 2],
    ],
  ],
  [7, [30, 20, 10], [[7, 7]]],
  [3, [10, 2], [[3, 3]]],
  [2.9, [10, 2], [[2, 2]]],
  [1.5, [10, 2], [[1.5, 2]]],
  [1.5, [10, 1], [[1, 1]]],
  [0.5, [10, 2], [[0.5, 1]]],
  [0.49, [10, 2], []],
  [0, [10, 2], []],
]

t.test(
  'made late, an ending warns at once with the minutes that are left, where that is worth it',
  async (t) => {
    const { live, ask, pass, chat } = await startScene(t)
    // What is due at once first: what is only said gives way to it.
    for (const [i, [left, warnMinutes]] of [...LATE.entries()].reverse()) {
      const session = live({ friendlyUrl: `room-${i}` })
      await ask(session, { dueAt: at(left), warnMinutes })
      await until(() => left > 0 || !session.live)
    }
    await pass(21)
    const round = (minutes: number) => Math.round(minutes * 100) / 100
    for (const [i, [left, , told]] of LATE.entries()) {
      const read = chat().filter(([, room]) => room === `room-${i}`)
      const said = read.map(([when, , text]) => [round(left - when), Number(text.split(' ')[0])])
      t.same(said, told, `${left} minutes before`)
    }
  },
)

/** The service is stopped, so many minutes pass, and it is started again on what it has left. */
async function restart(t: Test, scene: Scene, minutes: number): Promise<Scene> {
  await scene.close()
  await scene.clock.advanceTo(NOON + minutes * MINUTE)
  const { clock, databaseUrl, sandbox } = scene
  return { ...(await startScene(t, { clock, databaseUrl, sandbox })), chat: scene.chat }
}

t.test('across restarts nobody is warned twice, and late only of what is still worth it', async (t) => {
  let scene = await startScene(t)
  const { live, ask, chat } = scene
  const [early, middle, late] = [
    live({ friendlyUrl: 'early' }),
    live({ friendlyUrl: 'middle' }),
    live({ friendlyUrl: 'late' }),
  ]
  await ask(early as never, { dueAt: at(20), warnMinutes: [10, 2] })
  const id = await ask(middle as never, { dueAt: at(25), warnMinutes: [12, 2] })
  await ask(late as never, { dueAt: at(40), warnMinutes: [10, 9, 1] })
  await scene.pass(10)
  scene = await restart(t, scene, 10)
  await scene.pass(11)
  scene = await restart(t, scene, 17.5)
  await scene.pass(17.6)
  scene = await restart(t, scene, 19.8)
  await scene.pass(24)
  scene = await restart(t, scene, 38.5)
  await scene.pass(41)
  t.same(chat(), [
    [10, 'early', '10 until 12:20 UTC'],
    [17.5, 'middle', '8 until 12:25 UTC'],
    [23, 'middle', '2 until 12:25 UTC'],
    [39, 'late', '1 until 12:40 UTC'],
  ])
  t.same(await scene.warnings(id), [
    [12, 8, 'sent'],
    [2, 2, 'sent'],
  ])
})

t.test('what was marked by a process that died before it was sent is not sent', async (t) => {
  const scene = await startScene(t)
  const { live, ask, clock, databaseUrl } = scene
  const id = await ask(live({ friendlyUrl: 'room' }), { dueAt: at(20), warnMinutes: [10, 2] })
  await scene.close()
  await clock.advanceTo(NOON + 10 * MINUTE)
  const database = await open(t, databaseUrl, clock)
  const marked = await new TimeLimitStore(database.ledger, database, undefined).markWarning()
  t.match(marked, { ending: { id }, warning: { minutes: 10, toldMinutes: 10 } })
  await database.close()
  const next = await restart(t, scene, 10)
  for (let minute = 11; minute <= 17; minute += 1) await clock.advanceTo(NOON + minute * MINUTE)
  await clock.advanceTo(NOON + 18 * MINUTE)
  await until(() => next.sandbox.chat.length > 0)
  t.same(scene.chat(), [[18, 'room', '2 until 12:20 UTC']])
  await until(async () => (await next.warnings(id)).length === 2)
  t.match((await next.ending(id)).warnings, [
    { minutes: 10, markedAt: at(10), sentAt: null, result: 'begun' },
    { minutes: 2, markedAt: at(18) },
  ])
})

t.test('of what is over, taken back or being carried out nobody is warned', async (t) => {
  const scene = await startScene(t)
  const { live, ask, request, pass, sandbox, app, chat, warnings } = scene
  const body = { dueAt: at(20), warnMinutes: [10, 5] }
  const ids: string[] = []
  for (const name of ['cancelled', 'seen-over', 'ended-early'])
    ids.push(await ask(live({ friendlyUrl: name }), body))
  const hung = live({ friendlyUrl: 'hung' })
  await pass(11)
  t.equal(chat().length, 3)
  await request('POST', `/v1/endings/${ids[0]}/cancel`)
  const [, seen, early] = sandbox.sessions
  sandbox.endSession(seen?.id as string)
  await app.ledger.sessionSeenOver(seen?.id as string)
  await request('PATCH', `/v1/endings/${ids[2]}`, { body: { dueAt: at(0) } })
  sandbox.inject({ kind: 'status', status: 500, session: hung.id, operation: 'end' })
  const failing = await ask(hung, { warnMinutes: [10, 5] })
  await pass(30)
  t.equal(chat().length, 3)
  t.equal(early?.live, false)
  t.match(await scene.ending(failing), { state: 'ended', attempt: 2 })
  t.same(await warnings(failing), [])
  for (const id of ids) t.same(await warnings(id), [[10, 10, 'sent']])
})
