import t from 'tap'
import { startService, until } from './helper/service.ts'

t.test('ends a session', async (t) => {
  const s = await startService(t, { onLog: (l) => t.comment(JSON.stringify(l)) })
  const room = s.sandbox.createRoom({ friendlyUrl: 'abc-room', externalId: 'ext' })
  const session = s.sandbox.startSession({ room: room.id })
  const r = await s.request('POST', `/v1/sessions/${session.id}/end`, { headers: { prefer: 'wait=5' } })
  t.equal(r.statusCode, 200)
  t.match(r.json(), { state: 'ended', outcome: 'ended' })
  const x = s.sandbox.startSession({ room: room.id })
  t.match((await s.request('POST', `/v1/rooms/abc-room/end`, { headers: { prefer: 'wait=5' } })).json(), {
    state: 'ended',
    outcome: 'ended',
  })
  const y = s.sandbox.startSession({ room: room.id })
  t.match(
    (
      await s.request('POST', `/v1/endings`, {
        body: { target: { roomExternalId: 'ext' } },
        headers: { prefer: 'wait=5' },
      })
    ).json(),
    { state: 'ended', outcome: 'ended' },
  )
  t.match(
    (
      await s.request('POST', `/v1/endings`, {
        body: { target: { roomExternalId: 'ext' } },
        headers: { prefer: 'wait=5' },
      })
    ).json(),
    { state: 'ended', outcome: 'nothing_live' },
  )
  t.match(
    (await s.request('POST', `/v1/sessions/${session.id}/end`, { headers: { prefer: 'wait=5' } })).json(),
    { state: 'ended', outcome: 'already_ended' },
  )
  t.match(
    (
      await s.request('POST', `/v1/sessions/edb7a1cb-0627-44ed-9ae4-62a344d6e8a9/end`, {
        headers: { prefer: 'wait=5' },
      })
    ).json(),
    { state: 'failed', failure: 'session_not_found' },
  )
  t.match((await s.request('POST', `/v1/rooms/nope-room/end`, { headers: { prefer: 'wait=5' } })).json(), {
    state: 'failed',
    failure: 'room_not_found',
  })
})
