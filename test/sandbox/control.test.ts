import t from 'tap'
import { build, type Json } from './helper.ts'

t.test('everything a test can do in process can be done over HTTP', async (t) => {
  const { sandbox, control, api } = await build(t)
  const post = async (path: string, body?: unknown): Promise<Json> =>
    (await control('POST', path, body)).json()

  const room = await post('/rooms', { friendlyUrl: 'r-1', externalId: 'ext' })
  t.match(room, { friendlyUrl: 'r-1', externalId: 'ext' })
  const session = await post('/sessions', { room: 'r-1', id: 's1', startTime: '2026-11-23T12:00:00+01:00' })
  t.match(session, { id: 's1', room: room.id, live: true, startTime: '2026-11-23T11:00:00.000Z' })
  t.equal(sandbox.session('s1')?.startTime, Date.parse('2026-11-23T11:00:00Z'))
  t.match(await post('/rooms/r-1/enter', { name: 'Ann' }), { id: 's1', participantsMax: 2 })
  t.match(await post('/rooms/r-1/leave'), { id: 's1', participants: [{ name: 'First Guest' }] })
  t.match(await post('/sessions/s1/end'), { id: 's1', live: false })
  const next = await post('/rooms/r-1/enter')
  t.not(next.id, 's1')
  t.match(await (await control('GET', '/sessions')).json(), [{ id: 's1' }, { id: next.id }])
  t.match(await (await control('GET', '/sessions/s1')).json(), { id: 's1', live: false })

  await api('POST', '/rooms/r-1/chat', { message: 'Hello' })
  t.match(await (await control('GET', '/chat')).json(), [
    { session: next.id, message: 'Hello', at: '2026-11-23T12:00:00.000Z' },
  ])
  t.match(await (await control('GET', '/calls')).json(), [{ operation: 'chat', room: 'r-1', status: 200 }])
  t.equal((await control('DELETE', '/calls')).status, 204)
  t.same(sandbox.calls, [])
})

t.test('faults and settings over HTTP', async (t) => {
  const { sandbox, control, api } = await build(t)
  t.equal((await control('POST', '/faults', { kind: 'status', status: 503, times: 'always' })).status, 204)
  for (let i = 0; i < 3; i++) t.equal((await api('GET', '/sessions')).status, 503)
  t.equal((await control('DELETE', '/faults')).status, 204)
  t.equal((await api('GET', '/sessions')).status, 200)

  const settings = await control('POST', '/settings', {
    credentials: { developerKey: 'another' },
    alreadyEndedStatus: 404,
    retryAfterAs: 'date',
    callsPerMinute: 5,
    webhooks: { drop: true },
  })
  const shown: Json = await settings.json()
  t.match(shown, {
    alreadyEndedStatus: 404,
    retryAfterAs: 'date',
    callsPerMinute: 5,
    webhooks: { drop: true },
  })
  t.notOk('credentials' in shown)
  t.equal(sandbox.webhooks.drop, true)
  t.equal((await api('GET', '/sessions')).status, 401)
})

t.test('says what is wrong with a control', async (t) => {
  const { sandbox, control } = await build(t)
  sandbox.createRoom({ friendlyUrl: 'r-1' })
  const status = async (path: string, body?: unknown) => (await control('POST', path, body)).status
  t.equal(await status('/rooms', { friendlyUrl: 'r-1' }), 409)
  t.equal(await status('/rooms', { friendlyURL: 'r-2' }), 400)
  t.equal(await status('/sessions', { room: 'nope' }), 404)
  t.equal(await status('/sessions', { room: 'r-1', startTime: '2026-11-23 12:00:00' }), 400)
  t.equal(await status('/rooms/nope/enter'), 404)
  t.equal(await status('/sessions/nope/end'), 404)
  t.equal(await status('/faults', { kind: 'flood' }), 400)
  t.equal(await status('/rooms/r-1/leave'), 204, 'nobody there')
  const notJson = await fetch(`${sandbox.url}/sandbox/rooms`, { method: 'POST', body: '{' })
  t.equal(notJson.status, 400)
})
