import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { isProblem } from './problems.ts'
import { HOUR, startScene } from './scene.ts'

interface Hold {
  id: string
  target: object
  holdFrom: string
  holdUntil: string | null
  ending: string | null
}

async function startHolds(t: Test, databaseUrl: string) {
  const scene = await startScene(t, { databaseUrl })
  const { request } = scene
  const list = async (query = ''): Promise<{ data: Hold[]; nextCursor: string | null }> =>
    (await request('GET', `/v1/holds${query}`, { as: 'billing' })).json()
  const times = async () => (await list()).data.map(({ holdFrom, holdUntil }) => [holdFrom, holdUntil])
  return { ...scene, list, times }
}

onEveryEngine(t, 'an ending for a room keeps it closed', async (t, databaseUrl) => {
  const { request, at, list, ending } = await startHolds(t, databaseUrl)
  const dueAt = at(HOUR)
  const close = { dueAt, holdUntil: at(2 * HOUR) }
  const asked = await request('POST', '/v1/rooms/the-room/end', { body: { ...close, reason: 'closed' } })
  t.equal(asked.statusCode, 202)
  t.match(asked.json(), { dueAt, holdFrom: dueAt, holdUntil: close.holdUntil })
  const { id } = asked.json()
  t.match(await ending(id), { holdFrom: dueAt, holdUntil: close.holdUntil })
  const [hold, ...none] = (await list()).data
  t.same(none, [])
  t.match(hold, {
    target: { room: 'the-room' },
    holdFrom: dueAt,
    holdUntil: close.holdUntil,
    requestedBy: 'booking',
    reason: 'closed',
    subject: null,
    ending: id,
    liftedAt: null,
    liftedBy: null,
  })
  const room = randomUUID()
  const target = { room: room.toUpperCase() }
  const more = { holdFrom: '2020-01-01T00:00:00+02:00', holdUntil: at(1) }
  const other = await request('POST', '/v1/endings', { body: { target, ...more, dueAt } })
  t.match(other.json(), { holdFrom: '2019-12-31T22:00:00.000Z', holdUntil: at(1), target: { room } })
  const third = { target: { roomExternalId: 'Raum ü' }, holdUntil: at(5 * HOUR) }
  t.match((await request('POST', '/v1/endings', { body: third })).json(), { holdUntil: at(5 * HOUR) })
  t.same(
    (await list()).data.map(({ target }) => target),
    [{ roomExternalId: 'Raum ü' }, { room }, { room: 'the-room' }],
  )
  t.notOk('holdUntil' in (await request('POST', '/v1/rooms/the-room/end')).json(), 'only where asked for')
})

onEveryEngine(t, 'every mistake about holds is named', async (t, databaseUrl) => {
  const { request, at, list } = await startHolds(t, databaseUrl)
  const [soon, late] = [at(HOUR), at(2 * HOUR)]
  const session = randomUUID()
  const cases: [url: string, body: object, pointers: string[]][] = [
    ['/v1/rooms/abc/end', { holdFrom: soon }, ['/holdUntil']],
    ['/v1/rooms/abc/end', { dueAt: late, holdUntil: soon }, ['/holdUntil']],
    ['/v1/rooms/abc/end', { dueAt: soon, holdUntil: soon }, ['/holdUntil']],
    ['/v1/rooms/abc/end', { holdFrom: late, holdUntil: soon }, ['/holdUntil']],
    ['/v1/rooms/abc/end', { holdUntil: at(-1) }, ['/holdUntil']],
    ['/v1/rooms/abc/end', { holdUntil: 'tomorrow' }, ['/holdUntil']],
    ['/v1/rooms/abc/end', { holdUntil: null }, ['/holdUntil']],
    ['/v1/rooms/abc/end', { holdUntil: 1764000000 }, ['/holdUntil']],
    ['/v1/rooms/abc/end', { holdUntil: '2030-01-01T00:00:00' }, ['/holdUntil']],
    ['/v1/rooms/abc/end', { holdFrom: '2030-02-30T00:00:00Z', holdUntil: 'x' }, ['/holdFrom', '/holdUntil']],
    [`/v1/sessions/${session}/end`, { holdUntil: late }, ['/holdUntil']],
    [`/v1/sessions/${session}/end`, { holdFrom: soon, holdUntil: late }, ['/holdFrom', '/holdUntil']],
    ['/v1/endings', { target: { session }, holdUntil: late }, ['/holdUntil']],
    ['/v1/endings', { target: { roomExternalId: 'a' }, holdFrom: late }, ['/holdUntil']],
  ]
  for (const [url, body, pointers] of cases)
    await t.test(`${url.slice(0, 20)} ${JSON.stringify(body)}`, async (t) => {
      isProblem(t, await request('POST', url, { body }), 422, 'invalid', pointers)
    })
  t.same((await list()).data, [])
})

onEveryEngine(t, 'its owner and operators open a room again', async (t, databaseUrl) => {
  const { request, at, list, sandbox, app } = await startHolds(t, databaseUrl)
  for (const room of ['one', 'two'])
    await request('POST', `/v1/rooms/${room}/end`, { body: { holdUntil: at(HOUR) } })
  const [two, one] = (await list()).data
  isProblem(t, await request('DELETE', `/v1/holds/${one?.id}`, { as: 'billing' }), 403, 'forbidden')
  isProblem(t, await request('DELETE', `/v1/holds/${randomUUID()}`), 404, 'not-found')
  const lifted = await request('DELETE', `/v1/holds/${one?.id.toUpperCase()}`)
  t.equal(lifted.statusCode, 200)
  t.match(lifted.json(), { ...one, liftedBy: 'booking', liftedAt: /^20/ })
  t.match((await request('DELETE', `/v1/holds/${two?.id}`, { as: 'ops' })).json(), { liftedBy: 'ops' })
  for (const hold of [one, two])
    isProblem(t, await request('DELETE', `/v1/holds/${hold?.id}`), 404, 'not-found')
  t.same((await list()).data, [])
  await until(async () => (await app.ledger.backlog()).pending === 0)
  const session = sandbox.startSession({ room: sandbox.createRoom({ friendlyUrl: 'one' }).id })
  app.notices.sessionStarted({ session: session.id, room: session.room.id })
  await request('GET', `/v1/sessions/${session.id}`)
  t.equal(session.live, true)
})

onEveryEngine(t, 'what begins in a closed room is ended, what had begun is not', async (t, databaseUrl) => {
  const { request, at, sandbox, app, list, now } = await startHolds(t, databaseUrl)
  const room = sandbox.createRoom({ friendlyUrl: 'room', externalId: 'ext' }).id
  const elsewhere = sandbox.startSession({ room: sandbox.createRoom().id })
  const startTime = Math.floor(now / 1000) * 1000
  const before = sandbox.startSession({ room, startTime: startTime - 60_000 })
  const target = { roomExternalId: 'ext' }
  const body = { target, dueAt: at(HOUR), holdFrom: at(-2000), holdUntil: at(2 * HOUR) }
  const { id } = (await request('POST', '/v1/endings', { body, as: 'billing' })).json()
  const started = sandbox.startSession({ room, startTime })
  for (const session of [before, elsewhere, started])
    app.notices.sessionStarted({ session: session.id, room: session.room.id })
  await until(() => !started.live)
  const [held] = (await request('GET', `/v1/endings?session=${started.id}`)).json().data
  t.match(held, {
    reason: 'room_held',
    requestedBy: 'billing',
    key: `held:${started.id}`,
    metadata: { hold: (await list()).data[0]?.id, ending: id },
  })
  t.ok(before.live && elsewhere.live)
})

onEveryEngine(t, 'a hold moves, goes and changes with its ending', async (t, databaseUrl) => {
  const { request, at, times, ending, list } = await startHolds(t, databaseUrl)
  const end = async (body: object) => (await request('POST', '/v1/rooms/room/end', { body })).json().id
  const until = at(10 * HOUR)
  const move = (id: string, body: object) => request('PATCH', `/v1/endings/${id}`, { body })
  const id = await end({ dueAt: at(HOUR), holdUntil: until, key: 'k' })
  await move(id, { dueAt: at(2 * HOUR) })
  t.same(await times(), [[at(2 * HOUR), until]])
  await move(id, { extendMinutes: 60 })
  t.same(await times(), [[at(3 * HOUR), until]])
  t.match(await ending(id), { holdFrom: at(3 * HOUR), holdUntil: until })
  await move(id, { dueAt: at(12 * HOUR) })
  t.same(await times(), [[until, until]], 'what ends after the hold is not kept from beginning before')
  await move(id, { extendMinutes: 60 })
  t.same(await times(), [[until, until]])
  await move(id, { dueAt: at(3 * HOUR) })
  t.same(await times(), [[at(3 * HOUR), until]], 'moved back, it holds again')
  const own = { dueAt: at(HOUR), holdFrom: at(5 * HOUR), holdUntil: until, key: 'k' }
  t.equal(await end(own), id)
  t.same(await times(), [[at(5 * HOUR), until]], 'replaced by its key')
  await move(id, { dueAt: at(4 * HOUR) })
  t.same(await times(), [[at(5 * HOUR), until]], 'one with a beginning of its own stays')
  await end({ dueAt: at(HOUR), key: 'k' })
  t.same(await times(), [], 'or without one')
  await end({ ...own, key: 'other' })
  await end({ ...own, key: 'k' })
  t.equal((await times()).length, 2)
  await request('POST', `/v1/endings/${id}/cancel`)
  t.same(
    (await list()).data.map(({ ending }) => ending === id),
    [false],
  )
})

onEveryEngine(t, 'holds come page by page, newest first', async (t, databaseUrl) => {
  const { request, at, list } = await startHolds(t, databaseUrl)
  const made: string[] = []
  for (let i = 0; i < 12; i += 1) {
    const body = { dueAt: at(HOUR + i), holdUntil: at(3 * HOUR) }
    made.unshift((await request('POST', `/v1/rooms/room-${i}/end`, { body })).json().id)
  }
  for (const limit of [1, 5, 11, 12]) {
    const found: unknown[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page = await list(`?limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`)
      found.push(...page.data.map(({ ending }) => ending))
      cursor = page.nextCursor
    }
    t.same(found, made)
  }
})
