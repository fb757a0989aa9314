import t from 'tap'
import { build, type Json } from './helper.ts'

const START = Date.parse('2024-03-27T08:15:36.789Z')

t.test('ends a live session once, with an empty answer', async (t) => {
  const { sandbox, api, json } = await build(t)
  const room = sandbox.createRoom({ friendlyUrl: 'my-room' })
  const { id } = sandbox.startSession({ room: 'my-room' })

  const answer = await api('POST', `/sessions/${id}/end`)
  t.equal(answer.status, 200)
  t.match(answer.headers.get('content-type'), /^text\/plain/)
  t.equal(await answer.text(), '')
  t.equal(sandbox.session(id)?.live, false)
  t.same(sandbox.liveSessions(), [])

  const again = await api('POST', `/sessions/${id}/end`)
  t.equal(again.status, 409)
  t.match(await again.json(), { message: 'session already ended' })
  for (const status of [404, 422] as const) {
    sandbox.configure({ alreadyEndedStatus: status })
    t.equal((await api('POST', `/sessions/${id}/end`)).status, status)
  }

  const next = sandbox.enter(room.id, 'Ann')
  t.not(next.id, id, 'walking back in starts a session with a new id')
  t.equal(sandbox.enter('my-room').id, next.id, 'the next one joins it')
  t.match(await json('GET', `/sessions/${id}`), { session_id: id, session_live: false })
})

t.test('unknown sessions, unknown paths and GET for an end', async (t) => {
  const { sandbox, api } = await build(t)
  sandbox.createRoom({ friendlyUrl: 'r-1' })
  const { id } = sandbox.startSession({ room: 'r-1' })
  const unknown = await api('POST', '/sessions/edb7a1cb-0627-44ed-9ae4-62a344d6e8a9/end')
  t.equal(unknown.status, 404)
  t.same(await unknown.json(), { message: 'Not Found', error: 'not-found' })
  t.equal((await api('GET', '/sessions/nope')).status, 404)
  t.equal((await api('GET', `/sessions/${'x'.repeat(500)}`)).status, 404)
  t.equal((await api('GET', '/no/such/thing')).status, 404)
  t.equal((await api('GET', `/sessions/${id}/end`)).status, 405)
  t.equal(sandbox.session(id)?.live, true)
})

t.test('an end is accepted with whatever a client sends as an empty body', async (t) => {
  const { sandbox } = await build(t)
  sandbox.createRoom({ friendlyUrl: 'r-1' })
  for (const [type, body] of [
    ['application/json', ''],
    ['application/json', '{'],
    ['application/x-www-form-urlencoded', 'a=b'],
  ]) {
    const { id } = sandbox.startSession({ room: 'r-1' })
    const answer = await fetch(`${sandbox.url}/api/v1/sessions/${id}/end`, {
      method: 'POST',
      headers: { authorization: 'Bearer key-1', 'content-type': type as string },
      body: body as string,
    })
    t.equal(answer.status, 200)
  }
})

t.test('times come in all three spellings, and end_time as null or not at all', async (t) => {
  const { sandbox, json } = await build(t)
  sandbox.createRoom({ id: 'room-id', friendlyUrl: 'my-room', externalId: 'ext', description: 'Mine' })
  for (let i = 0; i < 3; i++) sandbox.startSession({ room: 'my-room', id: `s${i}`, startTime: START })

  const { data, total_count } = await json('GET', '/sessions?live=true&order=asc')
  t.equal(total_count, '3')
  t.same(
    data.map((item: Json) => item.start_time),
    ['2024-03-27 08:15:36', '2024-03-27T08:15:36Z', '2024-03-27T08:15:36.000000Z'],
  )
  t.same(
    data.map((item: Json) => item.end_time),
    [null, undefined, null],
  )
  t.same(data[0], {
    id: 's0',
    start_time: '2024-03-27 08:15:36',
    end_time: null,
    room_id: 'room-id',
    room_external_id: 'ext',
    description: 'Mine',
    friendly_url: 'my-room',
    room_is_deleted: false,
    participants_live: 1,
    participants_total: 1,
    participants_max: 1,
    live: true,
  })
  t.match(await json('GET', '/sessions/s1'), {
    session_id: 's1',
    session_live: true,
    session_start_time: '2024-03-27T08:15:36Z',
    room_id: 'room-id',
    room_external_id: 'ext',
    room_friendly_url: 'my-room',
    live_participants: 1,
  })
  sandbox.endSession('s1')
  const ended = (await json('GET', '/sessions?live=false')).data
  t.match(ended, [{ id: 's1', end_time: '2026-11-23T12:00:00Z', live: false }])
  t.notOk('participants_live' in ended[0])
})

t.test('a room left empty for five minutes ends its session; a session of limited length ends', async (t) => {
  const { sandbox, clock } = await build(t)
  sandbox.createRoom({ friendlyUrl: 'r-1' })
  sandbox.createRoom({ friendlyUrl: 'r-2', sessionLength: 10 })
  const first = sandbox.startSession({ room: 'r-1' })
  const limited = sandbox.startSession({ room: 'r-2' })
  sandbox.leave('r-1')
  await clock.advance(4 * 60_000)
  sandbox.enter('r-1')
  await clock.advance(60_000)
  t.ok(first.live, 'somebody came back in time')
  sandbox.leave('r-1')
  await clock.advance(5 * 60_000 - 1)
  t.ok(first.live)
  t.ok(limited.live)
  await clock.advance(1)
  t.notOk(first.live)
  t.notOk(limited.live)
})

t.test('a room that expires is gone, and its session with it', async (t) => {
  const { sandbox, clock, api, json } = await build(t)
  const room = await json('POST', '/rooms', { friendly_url: 'r-1', expires_at: '2026-11-23 12:30:00' })
  sandbox.startSession({ room: room.id, id: 's1' })
  t.equal((await api('GET', '/rooms/r-1')).status, 200)
  await clock.advance(30 * 60_000)
  t.equal((await api('GET', '/rooms/r-1')).status, 404)
  t.match(await json('GET', '/sessions/s1'), { session_live: false, room_is_deleted: true })
})

t.test('rooms are created, read, locked and refused', async (t) => {
  const { api, json } = await build(t)
  const room = await json('POST', '/rooms', { friendly_url: 'r-1', external_id: 'e-1', session_length: 60 })
  t.match(room, { friendly_url: 'r-1', external_id: 'e-1', session_length: 60, is_locked: false })
  t.same(await json('GET', '/rooms/r-1'), room)
  t.match(await json('PATCH', `/rooms/${room.id}`, { is_locked: true }), { is_locked: true })
  const refused = await api('POST', '/rooms', { friendly_url: 'r-1', session_length: 1441 })
  t.equal(refused.status, 422)
  t.same(Object.keys(((await refused.json()) as Json).errors), ['session_length', 'friendly_url'])
})

t.test('chat goes to the live session, or nowhere', async (t) => {
  const { sandbox, clock, api } = await build(t)
  const room = sandbox.createRoom({ friendlyUrl: 'r-1' })
  t.equal((await api('POST', '/rooms/r-1/chat', { message: 'Hello' })).status, 404)
  const session = sandbox.enter('r-1')
  t.equal((await api('POST', '/rooms/r-1/chat', { message: 'Hello' })).status, 200)
  t.equal((await api('POST', '/rooms/r-1/chat', {})).status, 422)
  t.equal((await api('POST', '/rooms/r-2/chat', { message: 'Hello' })).status, 404)
  t.same(sandbox.chat, [{ room: room.id, session: session.id, message: 'Hello', at: clock.now() }])
})
