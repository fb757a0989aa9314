import t from 'tap'
import type { CallContext } from '../../src/digital-samba/client.ts'
import {
  type DigitalSambaError,
  ForbiddenError,
  MalformedAnswerError,
  NotFoundError,
  RateLimitedError,
  RejectedError,
  UnauthorizedError,
  UnavailableError,
  WrongStateError,
} from '../../src/digital-samba/errors.ts'
import { CREDENTIALS, clientFor, errorOf, httpServer, recorder, SESSION, sandboxFor } from './helper.ts'

const pair = Buffer.from(`${CREDENTIALS.teamId}:${CREDENTIALS.developerKey}`).toString('base64')

for (const [form, header] of [
  ['basic', `Basic ${pair}`],
  ['bearer', `Bearer ${CREDENTIALS.developerKey}`],
  ['bearer-team', `Bearer ${pair}`],
] as const)
  t.test(`authentication as ${form}`, async (t) => {
    let seen: string | undefined
    const server = await httpServer(t, (request, response) => {
      seen = request.headers.authorization
      response.end()
    })
    await clientFor(t, server.url, { credentials: { form } }).end(SESSION, recorder())
    t.equal(seen, header)

    const sandbox = await sandboxFor(t)
    const session = sandbox.startSession({ room: sandbox.createRoom().id })
    await clientFor(t, sandbox.url, { credentials: { form } }).end(session.id, recorder())
    t.equal(sandbox.session(session.id)?.live, false)
    const credentials = { form, developerKey: 'another' }
    const refused = await errorOf(clientFor(t, sandbox.url, { credentials }).end(session.id, recorder()))
    t.equal(refused.name, 'UnauthorizedError')
  })

t.test('an end call is an empty POST, and a look-up a GET', async (t) => {
  const seen: unknown[] = []
  const server = await httpServer(t, (request, response) => {
    seen.push([request.method, request.url, request.headers['content-length'], request.headers.accept])
    response.end('{"session_live":false}')
  })
  const client = clientFor(t, server.url)
  await client.end(SESSION, recorder())
  t.match(await client.session(SESSION, recorder()), { live: false })
  t.match(seen, [
    ['POST', `/api/v1/sessions/${SESSION}/end`, /^0$/, 'application/json'],
    ['GET', `/api/v1/sessions/${SESSION}`, undefined, 'application/json'],
  ])
})

t.test('any 2xx to an end call is a success, with any JSON or none', async (t) => {
  const sandbox = await sandboxFor(t)
  const client = clientFor(t, sandbox.url)
  for (const status of [200, 201, 202, 204])
    for (const body of [undefined, { message: 'OK' }]) {
      sandbox.inject({ kind: 'status', status, body })
      const caller = recorder()
      t.equal(await client.end(SESSION, caller), undefined, `${status}`)
      t.match(caller.calls, [{ operation: 'end', status, error: undefined }])
    }
})

t.test('a page that answers 200 is no answer, and counts as a failed call', async (t) => {
  const sandbox = await sandboxFor(t)
  const client = clientFor(t, sandbox.url)
  const calls = {
    end: (caller: CallContext) => client.end(SESSION, caller),
    chat: (caller: CallContext) => client.chat('a-room', 'text', caller),
    session: (caller: CallContext) => client.session(SESSION, caller),
    sessions: (caller: CallContext) => client.liveSessions(undefined, caller).next(),
  }
  for (const [operation, call] of Object.entries(calls)) {
    sandbox.inject({ kind: 'html', status: 200 })
    const caller = recorder()
    const error = await errorOf(call(caller))
    t.match(error, { name: 'MalformedAnswerError', outage: true, status: 200 }, operation)
    t.match(caller.calls, [{ operation, status: 200, error }])
  }
})

t.test('what a proxy says is an outage; what Digital Samba says is not', async (t) => {
  const sandbox = await sandboxFor(t)
  const client = clientFor(t, sandbox.url)
  for (const [status, body, name] of [
    [404, '<h1>Not Found</h1>', 'MalformedAnswerError'],
    [404, { message: 'no Route matched with those values' }, 'MalformedAnswerError'],
    [404, { message: 'Not Found', error: 'route-missing' }, 'MalformedAnswerError'],
    [404, '', 'MalformedAnswerError'],
    [404, { error: 'not-found' }, 'NotFoundError'],
    [404, { message: 'Not Found' }, 'NotFoundError'],
    [400, '<h1>Bad Request</h1>', 'MalformedAnswerError'],
    [403, '<h1>Forbidden</h1>', 'MalformedAnswerError'],
    [409, 'Conflict', 'MalformedAnswerError'],
    [400, '', 'RejectedError'],
    [403, { message: 'no' }, 'ForbiddenError'],
  ] as const) {
    sandbox.inject({ kind: 'status', status, body, headers: { 'content-type': 'text/html' } })
    const error = await errorOf(client.end(SESSION, recorder()))
    t.match(error, { name, outage: name === 'MalformedAnswerError' }, `${status} ${JSON.stringify(body)}`)
  }
})

type ErrorClass = new (...about: never[]) => DigitalSambaError
const STATUSES: [number, ErrorClass, string, string, boolean][] = [
  [300, MalformedAnswerError, 'MalformedAnswerError', 'MALFORMED_ANSWER', true],
  [301, MalformedAnswerError, 'MalformedAnswerError', 'MALFORMED_ANSWER', true],
  [302, MalformedAnswerError, 'MalformedAnswerError', 'MALFORMED_ANSWER', true],
  [304, MalformedAnswerError, 'MalformedAnswerError', 'MALFORMED_ANSWER', true],
  [307, MalformedAnswerError, 'MalformedAnswerError', 'MALFORMED_ANSWER', true],
  [308, MalformedAnswerError, 'MalformedAnswerError', 'MALFORMED_ANSWER', true],
  [400, RejectedError, 'RejectedError', 'REJECTED', false],
  [401, UnauthorizedError, 'UnauthorizedError', 'UNAUTHORIZED', true],
  [402, RejectedError, 'RejectedError', 'REJECTED', false],
  [403, ForbiddenError, 'ForbiddenError', 'FORBIDDEN', false],
  [404, NotFoundError, 'NotFoundError', 'NOT_FOUND', false],
  [405, RejectedError, 'RejectedError', 'REJECTED', false],
  [409, WrongStateError, 'WrongStateError', 'WRONG_STATE', true],
  [410, RejectedError, 'RejectedError', 'REJECTED', false],
  [418, RejectedError, 'RejectedError', 'REJECTED', false],
  [422, WrongStateError, 'WrongStateError', 'WRONG_STATE', true],
  [429, RateLimitedError, 'RateLimitedError', 'RATE_LIMITED', true],
  [500, UnavailableError, 'UnavailableError', 'UNAVAILABLE', true],
  [501, UnavailableError, 'UnavailableError', 'UNAVAILABLE', true],
  [505, UnavailableError, 'UnavailableError', 'UNAVAILABLE', true],
  [520, UnavailableError, 'UnavailableError', 'UNAVAILABLE', true],
  [599, UnavailableError, 'UnavailableError', 'UNAVAILABLE', true],
]

t.test('every status is one call, and an error that says what it means', async (t) => {
  const sandbox = await sandboxFor(t)
  const client = clientFor(t, sandbox.url)
  for (const [status, errorClass, name, code, temporary] of STATUSES) {
    sandbox.clearCalls()
    const headers = { 'retry-after': '7', location: '/login' }
    sandbox.inject({ kind: 'status', status, headers, body: { message: 'Not  found.' }, times: 9 })
    const caller = recorder()
    const error = await errorOf(client.end(SESSION, caller))
    sandbox.clearFaults()
    t.ok(error instanceof errorClass, `${status} is a ${name}`)
    t.match(error, { name, code, status, temporary, hiccup: false, retryAfterMs: 7000 }, `${status}`)
    const body = status === 304 ? '' : ': Not found.'
    t.equal(error.message, `answered ${status}${body}`)
    t.equal(sandbox.calls.length, 1, `${status} is neither repeated nor followed`)
    t.same(caller.story, ['admit', name])
    t.match(caller.calls, [{ operation: 'end', status, error }])
  }
})

t.test('without a retry-after there is none', async (t) => {
  const sandbox = await sandboxFor(t)
  sandbox.inject({ kind: 'status', status: 429 })
  const error = await errorOf(clientFor(t, sandbox.url).end(SESSION, recorder()))
  t.equal(error.retryAfterMs, undefined)
})

t.test('the whole error table again for a look-up and a list', async (t) => {
  const sandbox = await sandboxFor(t)
  const client = clientFor(t, sandbox.url)
  const operations = {
    session: () => client.session(SESSION, recorder()),
    sessions: () => client.liveSessions(undefined, recorder()).next(),
    'room-sessions': () => client.liveSessions('some-room', recorder()).next(),
  }
  for (const [status, , name] of STATUSES)
    for (const [operation, call] of Object.entries(operations)) {
      sandbox.inject({ kind: 'status', status, operation: operation as keyof typeof operations })
      t.equal((await errorOf(call())).name, name, `${operation}: ${status}`)
    }
  t.equal(sandbox.calls.length, 3 * STATUSES.length)
})
t.test('what an error body says is kept short; what is no JSON object says nothing', async (t) => {
  const sandbox = await sandboxFor(t)
  const client = clientFor(t, sandbox.url)
  for (const [body, message] of [
    [{ message: 'a\n\tb' }, 'answered 400: a b'],
    [{ error: 'code' }, 'answered 400: code'],
    [{ error: 'code', message: 'text' }, 'answered 400: text'],
    [{ error: { deep: 1 }, message: ['x'] }, 'answered 400'],
    [{ message: 'x'.repeat(500) }, `answered 400: ${'x'.repeat(200)}`],
    [{ errors: { field: ['bad'] } }, 'answered 400'],
    [{ message: 'a\u0000b\u009bc\ud800' }, 'answered 400: a b c\ufffd'],
    ['<!doctype html><title>no</title>', "answered 400, which is not Digital Samba's own"],
    ['null', "answered 400, which is not Digital Samba's own"],
    ['[]', "answered 400, which is not Digital Samba's own"],
    ['', 'answered 400'],
  ] as const) {
    sandbox.inject({ kind: 'status', status: 400, body })
    t.equal((await errorOf(client.end(SESSION, recorder()))).message, message, JSON.stringify(body))
  }
})
