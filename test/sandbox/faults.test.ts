import t from 'tap'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { BASIC, build, type TestSandbox } from './helper.ts'

async function withSession(t: Parameters<typeof build>[0]): Promise<TestSandbox> {
  const built = await build(t)
  built.sandbox.createRoom({ id: 'room-id', friendlyUrl: 'r-1' })
  built.sandbox.startSession({ room: 'r-1', id: 's1' })
  return built
}

t.test('match what they are meant for, in order, and use themselves up', async (t) => {
  const { sandbox, api } = await withSession(t)
  sandbox.inject({ kind: 'status', status: 503, operation: 'end', session: 'other' })
  sandbox.inject({ kind: 'status', status: 503, room: 'room-id', times: 2 })
  sandbox.inject({ kind: 'status', status: 418, method: 'get', times: Number.POSITIVE_INFINITY })
  t.equal((await api('POST', '/sessions/s1/end')).status, 503, 'by the room of the session')
  t.equal((await api('GET', '/rooms/r-1/sessions')).status, 503, 'by the other name of the room')
  t.equal((await api('GET', '/sessions')).status, 418)
  t.equal((await api('GET', '/sessions/s1')).status, 418)
  t.equal(sandbox.session('s1')?.live, true)
  sandbox.clearFaults()
  t.equal((await api('GET', '/sessions/s1')).status, 200)
  t.same(
    sandbox.calls.map(({ status }) => status),
    [503, 503, 418, 418, 200],
  )
})

t.test('a status with headers and a body of choice, or the documented body', async (t) => {
  const { sandbox, api } = await withSession(t)
  sandbox.inject({ kind: 'status', status: 429, headers: { 'retry-after': '7' } })
  const limited = await api('GET', '/sessions')
  t.equal(limited.headers.get('retry-after'), '7')
  t.match(await limited.json(), { error: 'rate-limit' })
  sandbox.inject({ kind: 'status', status: 422, body: { message: 'Not now.' } })
  t.same(await (await api('POST', '/sessions/s1/end')).json(), { message: 'Not now.' })
  sandbox.inject({ kind: 'status', status: 409, carryOut: true })
  t.equal((await api('POST', '/sessions/s1/end')).status, 409)
  t.equal(sandbox.session('s1')?.live, false, 'carried out, though it answered otherwise')
})

t.test('reset and truncate break the connection, carried out or not', async (t) => {
  const { sandbox, api } = await withSession(t)
  sandbox.inject({ kind: 'reset' })
  await t.rejects(api('POST', '/sessions/s1/end'))
  t.equal(sandbox.session('s1')?.live, true)
  sandbox.inject({ kind: 'truncate', carryOut: true })
  const broken = await api('POST', '/sessions/s1/end')
  t.equal(broken.status, 200)
  t.equal(broken.headers.get('date'), 'Mon, 23 Nov 2026 12:00:00 GMT')
  await t.rejects(broken.text())
  t.equal(sandbox.session('s1')?.live, false)
  sandbox.inject({ kind: 'truncate', carryOut: true })
  await t.rejects((await api('GET', '/sessions')).json())
  t.same(
    sandbox.calls.map(({ status }) => status),
    [0, 200, 200],
  )
})

t.test('html, redirect, not-json and huge', async (t) => {
  const { sandbox, api } = await withSession(t)
  sandbox.inject({ kind: 'html' })
  const page = await api('GET', '/sessions')
  t.equal(page.status, 502)
  t.match(page.headers.get('content-type'), /text\/html/)
  sandbox.inject({ kind: 'redirect' })
  const redirect = await api('POST', '/sessions/s1/end')
  t.equal(redirect.status, 302)
  t.equal(redirect.headers.get('location'), '/login')
  const login = await fetch(`${sandbox.url}/login`)
  t.equal(login.status, 200)
  t.match(await login.text(), '<h1>Log in')
  sandbox.inject({ kind: 'not-json' })
  const notJson = await api('GET', '/sessions')
  t.match(notJson.headers.get('content-type'), /application\/json/)
  await t.rejects(notJson.json())
  sandbox.inject({ kind: 'huge' })
  t.ok((await (await api('GET', '/sessions')).arrayBuffer()).byteLength > 20e6)
  sandbox.inject({ kind: 'huge' })
  await (await api('GET', '/sessions')).body?.cancel()
  t.equal(sandbox.session('s1')?.live, true)
})

t.test('a delay is on the clock; what is slow is carried out in the end, or at once', async (t) => {
  const { sandbox, clock, api } = await withSession(t)
  sandbox.inject({ kind: 'delay', delayMs: 4000 })
  const slow = api('POST', '/sessions/s1/end')
  await sandbox.waitForCalls(1)
  t.match(sandbox.calls, [{ status: 0 }])
  t.equal(sandbox.session('s1')?.live, true)
  await clock.advance(4000)
  t.equal((await slow).status, 200)
  t.match(sandbox.calls, [{ status: 200 }])
  t.equal(sandbox.calls.length, 1)

  const { id } = sandbox.enter('r-1')
  sandbox.inject({ kind: 'status', status: 504, delayMs: 4000, carryOut: true })
  const lost = api('POST', `/sessions/${id}/end`)
  await sandbox.waitForCalls(2)
  t.equal(sandbox.session(id)?.live, false)
  await clock.advance(4000)
  t.equal((await lost).status, 504)
})

t.test('closing breaks off what hangs and what is held back', async (t) => {
  const sandbox = await startSandbox({ teamId: 'team-1', developerKey: 'key-1' })
  sandbox.inject({ kind: 'hang' })
  sandbox.inject({ kind: 'delay', delayMs: 60_000 })
  const calls = [1, 2].map(() =>
    fetch(`${sandbox.url}/api/v1/sessions`, { headers: { authorization: BASIC } }),
  )
  await sandbox.waitForCalls(2)
  t.same(
    sandbox.calls.map(({ status }) => status),
    [0, 0],
  )
  const ends = calls.map((call) => t.rejects(call))
  await sandbox.close()
  await Promise.all(ends)
})
