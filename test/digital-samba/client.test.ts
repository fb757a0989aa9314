import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { type CallContext, type CallMade, DigitalSamba } from '../../src/digital-samba/client.ts'
import { AUTH_FORMS, type Credentials } from '../../src/digital-samba/credentials.ts'
import type { DigitalSambaError } from '../../src/digital-samba/errors.ts'
import { type SandboxOptions, startSandbox } from '../../src/sandbox/sandbox.ts'

const KEY = 'sandbox-developer-key'

async function scene(t: Test, options: SandboxOptions = {}, form: Credentials['form'] = 'basic') {
  const sandbox = await startSandbox({ callsPerMinute: 1e6, ...options })
  const credentials = { form, teamId: 'sandbox-team', developerKey: KEY }
  const client = new DigitalSamba({ url: sandbox.url, credentials, clock: systemClock, timeoutMs: 1500 })
  t.teardown(async () => {
    client.close()
    await sandbox.close()
  })
  const made: CallMade[] = []
  let admitted = 0
  const stop = new AbortController()
  const context: CallContext = {
    signal: stop.signal,
    admit: async () => {
      admitted += 1
    },
    onCall: (call) => void made.push(call),
  }
  const room = sandbox.createRoom({ friendlyUrl: 'a-room' })
  const session = sandbox.startSession({ room: room.id })
  return { sandbox, client, context, made, stop, room, session, admitted: () => admitted }
}

for (const form of AUTH_FORMS)
  t.test(`ends a session with ${form} credentials`, async (t) => {
    const { client, context, session, made } = await scene(t, {}, form)
    await client.end(session.id, context)
    t.equal(session.live, false)
    t.match(made, [{ operation: 'end', status: 200, error: undefined }])
  })

const ANSWERS = [
  [400, 'RejectedError', 'REJECTED', false, 1],
  [401, 'UnauthorizedError', 'UNAUTHORIZED', true, 1],
  [403, 'ForbiddenError', 'FORBIDDEN', false, 1],
  [404, 'NotFoundError', 'NOT_FOUND', false, 1],
  [409, 'WrongStateError', 'WRONG_STATE', true, 1],
  [422, 'WrongStateError', 'WRONG_STATE', true, 1],
  [429, 'RateLimitedError', 'RATE_LIMITED', true, 1],
  [500, 'UnavailableError', 'UNAVAILABLE', true, 1],
  [302, 'MalformedAnswerError', 'MALFORMED_ANSWER', true, 1],
  [503, 'UnavailableError', 'UNAVAILABLE', true, 3],
] as const

for (const [status, name, code, temporary, calls] of ANSWERS)
  t.test(`${status} is a ${name}, after ${calls} calls`, async (t) => {
    const { sandbox, client, context, session, made, admitted } = await scene(t)
    const body = {
      message: `not found: you sent ${KEY} and ${Buffer.from(`sandbox-team:${KEY}`).toString('base64')}`,
    }
    sandbox.inject({ kind: 'status', status, body, times: 9, headers: { location: '/login' } })
    const error: DigitalSambaError = await client.end(session.id, context).then(
      () => t.fail('not refused'),
      (reason) => reason,
    )
    t.match(error, { name, code, status, temporary })
    t.equal(sandbox.calls.length, calls)
    t.equal(made.length, calls)
    t.equal(admitted(), calls, 'each call has asked first')
    const told = inspect([error, made], { depth: 10, showHidden: true })
    t.notOk(told.includes(KEY) || told.includes(Buffer.from(`sandbox-team:${KEY}`).toString('base64')))
  })

t.test('a service that asks to be left alone for longer is not tried again at once', async (t) => {
  const { sandbox, client, context, session } = await scene(t)
  sandbox.inject({ kind: 'status', status: 503, headers: { 'retry-after': '30' }, times: 9 })
  await t.rejects(client.end(session.id, context), { code: 'UNAVAILABLE', retryAfterMs: 30_000 })
  t.equal(sandbox.calls.length, 1)
})

for (const [kind, code, calls] of [
  ['reset', 'NETWORK', 3],
  ['hang', 'TIMEOUT', 3],
  ['html', 'UNAVAILABLE', 3],
  ['truncate', 'NETWORK', 3],
  ['not-json', 'MALFORMED_ANSWER', 1],
  ['huge', 'MALFORMED_ANSWER', 1],
  ['redirect', 'MALFORMED_ANSWER', 1],
] as const)
  t.test(`an answer that is ${kind}`, async (t) => {
    const { sandbox, client, context, session } = await scene(t)
    sandbox.inject({ kind, times: 9 })
    await t.rejects(client.session(session.id, context), { code })
    t.equal(sandbox.calls.length, calls)
  })

t.test('a hiccup is over within the second', async (t) => {
  const { sandbox, client, context, session, made } = await scene(t)
  sandbox.inject({ kind: 'reset', times: 1 })
  sandbox.inject({ kind: 'status', status: 502, times: 1 })
  await client.end(session.id, context)
  t.same(
    made.map(({ status }) => status),
    [null, 502, 200],
  )
})

t.test('given up by its caller', async (t) => {
  const { sandbox, client, context, session, stop } = await scene(t)
  sandbox.inject({ kind: 'hang', times: 9 })
  const gone = client.end(session.id, context)
  await sandbox.waitForCalls(1)
  stop.abort()
  await t.rejects(gone, { code: 'ABORTED' })
  t.equal(sandbox.calls.length, 1)
})

for (const count of [1, 100, 101, 250])
  t.test(`lists ${count} live sessions, each once`, async (t) => {
    const { sandbox, client, context, session } = await scene(t)
    const wanted = [session.id]
    for (let i = 1; i < count; i += 1)
      wanted.push(sandbox.startSession({ room: sandbox.createRoom({}).id }).id)
    const found: string[] = []
    for await (const page of client.liveSessions(undefined, context)) found.push(...page.map(({ id }) => id))
    t.same(found.sort(), wanted.sort())
  })

t.test('sessions that end between two pages make it skip nobody', async (t) => {
  const { sandbox, client, context } = await scene(t)
  const sessions = Array.from(
    { length: 250 },
    () => sandbox.startSession({ room: sandbox.createRoom({}).id }).id,
  )
  const found: string[] = []
  for await (const page of client.liveSessions(undefined, context)) {
    for (const { id } of page) sandbox.endSession(id)
    found.push(...page.map(({ id }) => id))
  }
  t.same(
    sessions.filter((id) => !found.includes(id)),
    [],
  )
})

t.test("a room's sessions, by its UUID and by its friendly URL", async (t) => {
  const { client, context, room, session } = await scene(t)
  for (const name of [room.id, 'a-room']) {
    const found = []
    for await (const page of client.liveSessions(name, context)) found.push(...page)
    t.match(found, [{ id: session.id, startedAt: Math.floor(session.startTime / 1000) * 1000 }])
  }
  await t.rejects(client.liveSessions('no-room', context).next(), { code: 'NOT_FOUND' })
})
