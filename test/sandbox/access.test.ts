import t from 'tap'
import { BASIC, build, DEVELOPER_KEY, TEAM_ID } from './helper.ts'

t.test('accepts all three forms of authentication and no other', async (t) => {
  const { sandbox } = await build(t)
  const status = async (authorization?: string) => {
    const answer = await fetch(`${sandbox.url}/api/v1/sessions`, {
      headers: authorization === undefined ? {} : { authorization },
    })
    return [answer.status, answer.ok ? undefined : await answer.json()]
  }
  const pair = btoa(`${TEAM_ID}:${DEVELOPER_KEY}`)
  for (const right of [BASIC, `basic ${pair}`, `Bearer ${DEVELOPER_KEY}`, `Bearer ${pair}`]) {
    t.equal((await status(right))[0], 200, right)
  }
  const refusal = [401, { message: 'Unauthenticated.', error: 'unauthenticated' }]
  for (const wrong of [undefined, '', 'Basic x', `Basic ${DEVELOPER_KEY}`, 'Bearer x', pair]) {
    t.same(await status(wrong), refusal, String(wrong))
  }
  sandbox.setCredentials({ developerKey: 'another' })
  t.same(await status(BASIC), refusal)
  sandbox.setCredentials({ teamId: TEAM_ID, developerKey: DEVELOPER_KEY })
  t.equal((await status(BASIC))[0], 200)
})

t.test('the limit is a fixed minute that begins with its first call', async (t) => {
  const { sandbox, clock, api } = await build(t, { callsPerMinute: 3 })
  await fetch(`${sandbox.url}/api/v1/sessions`)
  await fetch(`${sandbox.url}/sandbox/calls`)
  await clock.advance(30_000)
  t.equal((await api('GET', '/sessions')).status, 200, 'this one begins the minute')
  await clock.advance(21_500)
  t.equal((await api('GET', '/sessions/nope')).status, 404)
  t.equal((await api('POST', '/sessions/nope/end')).status, 404)

  const refused = await api('GET', '/sessions')
  t.equal(refused.status, 429)
  t.equal(refused.headers.get('retry-after'), '39', 'rounded up')
  t.same(await refused.json(), {
    message: 'Too Many Attempts. You may try again in 39 seconds.',
    error: 'rate-limit',
  })

  sandbox.configure({ retryAfterAs: 'date' })
  const dated = await api('GET', '/sessions')
  t.equal(dated.headers.get('date'), 'Mon, 23 Nov 2026 12:00:51 GMT')
  t.equal(dated.headers.get('retry-after'), 'Mon, 23 Nov 2026 12:01:30 GMT')

  await clock.advance(38_499)
  t.equal((await api('GET', '/sessions')).status, 429)
  await clock.advance(1)
  for (let i = 0; i < 3; i++) t.equal((await api('GET', '/sessions')).status, 200)
  t.equal((await api('GET', '/sessions')).status, 429)
})

t.test('records every call, and never a credential', async (t) => {
  const { sandbox, clock } = await build(t)
  sandbox.createRoom({ friendlyUrl: 'r-1' })
  sandbox.startSession({ room: 'r-1', id: 's1' })
  const seen: string[] = []
  const stop = sandbox.onCall(({ operation }) => seen.push(operation))
  const call = (method: string, path: string, headers: Record<string, string>) =>
    fetch(`${sandbox.url}/api/v1${path}`, { method, headers })
  const ended = sandbox.waitForCalls((calls) => calls.some(({ operation }) => operation === 'end'))
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  await call('GET', '/rooms/r-1/sessions?live=true', { authorization: BASIC, traceparent })
  await call('POST', '/sessions/s1/end', { authorization: BASIC })
  await ended
  await call('POST', '/sessions/s1/end', { authorization: 'Bearer wrong' })
  await sandbox.waitForCalls(3)
  const at = clock.now()
  t.same(sandbox.calls, [
    {
      at,
      method: 'GET',
      path: '/api/v1/rooms/r-1/sessions?live=true',
      operation: 'room-sessions',
      room: 'r-1',
      status: 200,
      headers: { traceparent },
    },
    { at, method: 'POST', path: '/api/v1/sessions/s1/end', operation: 'end', session: 's1', status: 200 },
    { at, method: 'POST', path: '/api/v1/sessions/s1/end', operation: 'end', session: 's1', status: 401 },
  ])
  stop()
  await call('GET', '/nowhere', { authorization: BASIC })
  t.same(seen, ['room-sessions', 'end', 'end'])
  t.match(sandbox.calls.at(-1), { operation: 'other', status: 404 })
})
