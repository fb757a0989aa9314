import { randomUUID } from 'node:crypto'
import t from 'tap'
import { onEveryEngine } from '../helper/engines.ts'
import { isProblem } from './problems.ts'
import { HOUR, type Scene, startScene } from './scene.ts'

const SECRET = 'webhook-secret-0123456789'
const URL = '/v1/webhooks/digital-samba'

async function startHooked(t: Parameters<typeof startScene>[0], more: Parameters<typeof startScene>[1] = {}) {
  const heard: Record<string, unknown>[] = []
  const env = { DIGITAL_SAMBA_WEBHOOK_SECRET: SECRET, ...more.env }
  const scene = await startScene(t, { ...more, env, onLog: (line) => void heard.push(line) })
  const hook = (body: unknown, authorization: string | null = `Bearer ${SECRET}`) =>
    scene.request('POST', URL, {
      as: null,
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...(authorization === null ? {} : { authorization }) },
    })
  return { ...scene, heard, hook }
}

const ended = (sessionId: string) => ({
  eventType: 'session_ended',
  sessionId,
  roomId: randomUUID(),
  timestamp: 1675790387,
  data: {},
})

t.test('there is no such route where no secret is set', async (t) => {
  const { request } = await startScene(t)
  isProblem(t, await request('POST', URL, { as: 'ops', body: ended(randomUUID()) }), 404, 'not-found')
})

t.test('both documented forms of the secret are taken, and nothing else', async (t) => {
  const { hook, heard } = await startHooked(t)
  for (const good of [`Bearer ${SECRET}`, SECRET, `bearer ${SECRET}`])
    t.equal((await hook(ended(randomUUID()), good)).statusCode, 204, good)
  const bad = [
    null,
    '',
    'Bearer',
    SECRET.slice(1),
    `${SECRET}x`,
    `Basic ${SECRET}`,
    SECRET.toUpperCase(),
    'Bearer x',
  ]
  for (const wrong of bad) isProblem(t, await hook(ended(randomUUID()), wrong), 401, 'unauthorized')
  t.equal(heard.filter(({ msg }) => msg === 'webhook.refused').length, bad.length, 'a line each')
  t.notOk(JSON.stringify(heard).includes(SECRET), 'and the secret in none')
})

t.test('both spellings, whatever else is in them, and events that mean nothing here', async (t) => {
  const { hook } = await startHooked(t)
  const session = randomUUID()
  for (const body of [
    { event: 'session_ended', session_id: session.toUpperCase(), room_id: session },
    { ...ended(session), more: { of: 'theirs' } },
    { eventType: 'session_started', sessionId: session, roomId: null },
    { eventType: 'participant_joined', sessionId: session, data: { name: 'John' } },
    { eventType: 'something_new' },
  ])
    t.equal((await hook(body)).statusCode, 204, JSON.stringify(body))
})

t.test('what cannot be understood is answered with its place', async (t) => {
  const { hook } = await startHooked(t)
  for (const [body, pointer] of [
    [{}, '/eventType'],
    [{ eventType: '' }, '/eventType'],
    [{ eventType: 5 }, '/eventType'],
    [{ eventType: 'session_ended' }, '/sessionId'],
    [{ eventType: 'session_ended', sessionId: null }, '/sessionId'],
    [{ eventType: 'session_started', session_id: 'x' }, '/session_id'],
    [[], ''],
  ] as const)
    isProblem(t, await hook(body), 422, 'invalid', [pointer])
  isProblem(t, await hook('{'), 400, 'bad-request')
})

/** Pending endings of all kinds for one session and its room. */
async function everybody({ ask, sandbox }: Scene) {
  const room = sandbox.createRoom({ friendlyUrl: 'the-room', externalId: 'the-id' })
  const session = sandbox.startSession({ room: room.id })
  const of = (target: object, as: 'booking' | 'billing' = 'booking') => ask({ target }, { as })
  return {
    session,
    mine: await of({ session: session.id }),
    theirs: await of({ session: session.id.toUpperCase() }, 'billing'),
    rooms: [
      await of({ room: 'the-room' }),
      await of({ room: room.id }),
      await of({ roomExternalId: 'the-id' }),
    ],
  }
}

onEveryEngine(t, 'a session that is over is over for all that were to end it', async (t, databaseUrl) => {
  const scene = await startHooked(t, { databaseUrl })
  const { hook, ending, at, sandbox } = scene
  const { session, mine, theirs, rooms } = await everybody(scene)
  const over = {
    state: 'ended',
    outcome: 'already_ended',
    finishedAt: at(0),
    confirmedAt: at(0),
    attempts: [],
  }
  for (let times = 0; times < 3; times += 1) {
    t.equal((await hook(ended(session.id))).statusCode, 204)
    for (const { id } of [mine, theirs]) t.match(await ending(id), over)
    for (const { id } of rooms)
      t.match(await ending(id), { state: 'pending' }, 'the next session there may be its business')
  }
  t.equal((await hook(ended(randomUUID()))).statusCode, 204, 'one that nobody knows harms nothing')
  t.same(sandbox.calls, [], 'without a call')
})

onEveryEngine(t, 'an ending that is being carried out is left to whoever does it', async (t, databaseUrl) => {
  const { underway, hook, ending, sandbox } = await startHooked(t, { databaseUrl })
  const asked = await underway()
  await hook(ended(asked.target.session as string))
  t.match(await ending(asked.id), { state: 'pending', confirmedAt: null })
  t.equal(sandbox.calls.length, 1)
})

t.test('an end of ours is confirmed by it, without a look-up', async (t) => {
  const { finished, hook, ending, at, clock, sandbox } = await startHooked(t)
  const { id, target } = await finished('ended')
  t.match(await ending(id), { confirmedAt: null })
  await hook(ended(target.session as string))
  t.match(await ending(id), { outcome: 'ended', confirmedAt: at(0) })
  await clock.advance(HOUR)
  t.same(
    sandbox.calls.map(({ operation }) => operation),
    ['end'],
  )
})
