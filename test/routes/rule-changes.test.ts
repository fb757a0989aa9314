import t, { type Test } from 'tap'
import type { Ending } from '../../src/routes/ending-schemas.ts'
import type { NewRoom } from '../../src/sandbox/sandbox.ts'
import { onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { startScene } from './scene.ts'

const MINUTE = 60_000

/** Sessions that began ten minutes ago, and short words for rules and the endings that they make. */
async function startRules(t: Test, databaseUrl: string) {
  const scene = await startScene(t, { databaseUrl, env: { MAX_CONCURRENT_CALLS: '2' } })
  const { request, sandbox } = scene
  // Digital Samba tells the second.
  const began = Math.floor(scene.now / 1000) * 1000 - 10 * MINUTE
  const due = (minutes: number) => new Date(began + minutes * MINUTE).toISOString()
  const live = (room: NewRoom = {}) =>
    sandbox.startSession({ room: sandbox.createRoom(room).id, startTime: began })
  const rule = async (room: string, maxMinutes: number, as: 'booking' | 'billing' | 'ops' = 'booking') => {
    const url = `/v1/time-limits/${encodeURIComponent(room)}`
    const answer = await request('PUT', url, { body: { maxMinutes }, as })
    if (answer.statusCode > 201) throw new Error(answer.body)
  }
  const remove = (room: string, as: 'booking' | 'billing' | 'ops' = 'booking') =>
    request('DELETE', `/v1/time-limits/${encodeURIComponent(room)}`, { as })
  const of = async (id: string): Promise<Ending[]> =>
    (await request('GET', `/v1/endings?session=${id}`)).json().data
  /** The one that is pending, once it is due so many minutes after the session began. */
  const limited = (id: string, minutes: number) =>
    until(async () => (await of(id)).find((e) => e.state === 'pending' && e.dueAt === due(minutes)))
  return { ...scene, due, live, rule, remove, of, limited }
}

onEveryEngine(t, 'a session under a rule ends so long after its own start', async (t, databaseUrl) => {
  const { live, rule, limited, of, request, due } = await startRules(t, databaseUrl)
  const session = live({ friendlyUrl: 'room' })
  const bystander = live({ friendlyUrl: 'other' })
  await rule('room', 50)
  const { id, createdAt, nextAttemptAt, ...ending } = await limited(session.id, 50)
  t.match(ending, {
    target: { session: session.id },
    reason: 'time_limit',
    requestedBy: 'booking',
    key: `limit:${session.id}`,
    urgent: false,
    metadata: { rule: 'room', maxMinutes: 50 },
  })
  const overdue = live({ friendlyUrl: 'overdue' })
  await rule('overdue', 9)
  const [at] = await until(async () => (await of(overdue.id))[0]?.state === 'ended' && of(overdue.id))
  t.match(at, { dueAt: due(9), outcome: 'ended' }, 'one that is over it ends at once')
  t.equal(overdue.live, false)
  t.same(await of(bystander.id), [])
  t.same((await request('GET', '/v1/endings')).json().data.length, 2)
})

onEveryEngine(t, 'a rule that changes moves its endings, one that goes takes them back', async (t, url) => {
  const { live, rule, remove, limited, of, ending } = await startRules(t, url)
  const [one, other] = [live({ friendlyUrl: 'one' }), live({ friendlyUrl: 'other' })]
  await rule('one', 50)
  await rule('other', 45)
  const first = await limited(one.id, 50)
  const untouched = await limited(other.id, 45)
  for (const minutes of [60, 20, 21]) {
    await rule('one', minutes)
    const moved = await limited(one.id, minutes)
    t.match(moved, { id: first.id, metadata: { rule: 'one', maxMinutes: minutes } })
  }
  t.equal((await remove('one')).statusCode, 200)
  t.match(await ending(first.id), { state: 'cancelled' })
  t.equal(one.live, true)
  await rule('one', 30)
  t.not((await limited(one.id, 30)).id, first.id, 'a new rule, a new ending')
  await rule('one', 5)
  await until(() => !one.live)
  t.match(await of(other.id), [{ ...untouched }])
})

onEveryEngine(t, 'minutes on top stay on top, and what was cancelled stays cancelled', async (t, url) => {
  const { live, rule, remove, limited, of, request, due, clock } = await startRules(t, url)
  const [extended, cancelled, shortened] = ['a-1', 'a-2', 'a-3'].map((friendlyUrl) => live({ friendlyUrl }))
  for (const room of ['a-1', 'a-2', 'a-3']) await rule(room, 50)
  const idOf = async (session: typeof extended) => (await limited(session?.id as string, 50)).id
  const { id } = await limited(extended?.id as string, 50)
  await request('PATCH', `/v1/endings/${id}`, { body: { extendMinutes: 15 } })
  await request('POST', `/v1/endings/${await idOf(cancelled)}/cancel`)
  const early = await idOf(shortened)
  await request('PATCH', `/v1/endings/${early}`, { body: { dueAt: due(40) } })
  await clock.advance(30_000)
  t.match(await of(extended?.id as string), [{ id, dueAt: due(65) }], 'the next sweep leaves it alone')
  t.match(await of(shortened?.id as string), [{ id: early, dueAt: due(40) }])
  for (const room of ['a-1', 'a-2']) await rule(room, 30)
  t.match(await of(extended?.id as string), [{ id, state: 'pending', dueAt: due(45) }])
  await rule('a-1', 60)
  t.match(await of(extended?.id as string), [{ id, dueAt: due(75) }])
  await remove('a-2')
  await rule('a-2', 1)
  t.match(await of(cancelled?.id as string), [{ state: 'cancelled' }], 'for good')
  t.equal(cancelled?.live, true)
})

onEveryEngine(
  t,
  'each owner’s rules have an ending of their own, and the earliest is in force',
  async (t, url) => {
    const { live, rule, remove, limited, of, request, ending, due } = await startRules(t, url)
    const session = live({ friendlyUrl: 'room', externalId: 'Raum ü' })
    const { id } = session
    await rule('room', 50)
    const mine = await limited(id, 50)
    await rule('external:Raum ü', 40, 'billing')
    const theirs = await limited(id, 40)
    t.match(theirs, { requestedBy: 'billing', metadata: { rule: 'external:Raum ü' } })
    const both = async (my: number, their: number) =>
      t.match(await of(id), [
        { id: theirs.id, state: 'pending', dueAt: due(their), requestedBy: 'billing', key: `limit:${id}` },
        { id: mine.id, state: 'pending', dueAt: due(my), requestedBy: 'booking', key: `limit:${id}` },
      ])
    await both(50, 40)
    const patch = (as: 'booking' | 'billing', extendMinutes: number) =>
      request('PATCH', `/v1/endings/${theirs.id}`, { body: { extendMinutes }, as })
    t.equal((await patch('booking', 1)).statusCode, 403)
    t.match((await patch('billing', 1)).json(), { inForce: { ending: theirs.id } })
    t.match((await patch('billing', 1440)).json(), { inForce: { ending: mine.id, dueAt: due(50) } })
    await both(50, 1481)
    await rule(session.room.id.toUpperCase(), 30, 'billing')
    t.match((await ending(theirs.id)).metadata, { rule: session.room.id }, 'of its own rules the shortest')
    await both(50, 1471)
    await rule('room', 30)
    await both(30, 1471)
    await remove(session.room.id, 'ops')
    await both(30, 1481)
    await rule('room', 90, 'ops')
    t.match((await request('GET', '/v1/time-limits/room')).json(), { requestedBy: 'booking', maxMinutes: 90 })
    await both(90, 1481)
    await remove('external:Raum ü', 'billing')
    t.match(await of(id), [
      { id: theirs.id, state: 'cancelled' },
      { id: mine.id, state: 'pending', dueAt: due(90) },
    ])
  },
)

onEveryEngine(t, 'what is being carried out is left to it', async (t, url) => {
  const { live, rule, remove, of, sandbox } = await startRules(t, url)
  const session = live({ friendlyUrl: 'room' })
  sandbox.inject({ kind: 'hang', session: session.id, operation: 'end' })
  await rule('room', 5)
  await sandbox.waitForCalls((calls) => calls.some(({ operation }) => operation === 'end'))
  const before = await of(session.id)
  await rule('room', 60)
  t.same(await of(session.id), before)
  await remove('room')
  t.same(await of(session.id), before)
})
