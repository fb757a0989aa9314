import { setTimeout as pause } from 'node:timers/promises'
import { inspect } from 'node:util'
import t from 'tap'
import {
  CREDENTIALS,
  clientFor,
  errorOf,
  everyPage,
  httpServer,
  recorder,
  SESSION,
  sandboxFor,
  socketServer,
} from './helper.ts'

t.jobs = 20

t.test('calls one after the other share a connection', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('{"session_live":true}'))
  const client = clientFor(t, server.url)
  for (let i = 0; i < 5; i += 1) await client.session(SESSION, recorder())
  await client.end(SESSION, recorder())
  t.same(server.arrived, { calls: 6, connections: 1 })
})

t.test('whatever stands in a name is one part of the path', async (t) => {
  const seen: (string | undefined)[] = []
  const server = await httpServer(t, (request, response) => {
    seen.push(request.url?.split('?', 1)[0])
    response.end('{"data":[],"session_live":true}')
  })
  const client = clientFor(t, server.url)
  for (const name of ['a/b', 'a/../b', 'a b', 'a?b#c', 'a%2Fb', 'a\\b', 'ü', '😀', 'x;y=1&z', '//host']) {
    const encoded = encodeURIComponent(name)
    seen.length = 0
    await client.end(name, recorder())
    await client.session(name, recorder())
    await everyPage(client.liveSessions(name, recorder()))
    const paths = [`sessions/${encoded}/end`, `sessions/${encoded}`, `rooms/${encoded}/sessions`]
    t.same(
      seen,
      paths.map((path) => `/api/v1/${path}`),
      name,
    )
    for (const path of seen) t.match(path?.split('/').length, path?.startsWith('/api/v1/rooms') ? 6 : /5|6/)
  }
})

const NO_ANSWERS: [string, string][] = [
  ['closed without an answer', ''],
  ['closed within the status line', 'HTTP/1.1 20'],
  ['closed within the headers', 'HTTP/1.1 200 OK\r\ncontent-le'],
  ['not HTTP', 'SSH-2.0-OpenSSH_9.6\r\n'],
  ['a header that is none', 'HTTP/1.1 200 OK\r\nthis is no header\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}'],
  ['chunks that are none', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}'],
  ['a header of 100 KB', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`],
]
for (const [what, bytes] of NO_ANSWERS)
  t.test(`no answer: ${what}`, async (t) => {
    const server = await socketServer(t, (socket) => socket.end(bytes))
    const caller = recorder()
    const error = await errorOf(clientFor(t, server.url).end(SESSION, caller))
    t.match(error, { name: 'NetworkError', code: 'NETWORK', status: null, temporary: true, hiccup: true })
    t.equal(server.arrived.calls, 3)
    t.match(caller.calls.at(-1), { status: null, error })
  })

t.test('an answer that trickles in counts as one that did not come in time', async (t) => {
  const server = await socketServer(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n')
    const drip = setInterval(() => socket.write('x'), 20)
    socket.on('close', () => clearInterval(drip))
  })
  const error = await errorOf(clientFor(t, server.url, { timeoutMs: 120 }).end(SESSION, recorder()))
  t.match(error, { name: 'CallTimeoutError', status: null })
})

t.test('a page of 1 MiB is read no further than that', async (t) => {
  const sandbox = await sandboxFor(t)
  sandbox.inject({ kind: 'huge', times: 9 })
  const error = await errorOf(clientFor(t, sandbox.url).session(SESSION, recorder()))
  t.match(error, { name: 'MalformedAnswerError', message: 'answered more than 1 MiB', hiccup: false })
  t.equal(sandbox.calls.length, 1)
})

t.test('answers to a look-up that are not as documented', async (t) => {
  const bodies = [
    '',
    'null',
    '[]',
    '"live"',
    '{}',
    '{"session_live":"false"}',
    '{"session_live":0}',
    '<html>',
  ]
  const server = await httpServer(t, (_, response) => response.end(bodies[0]))
  const client = clientFor(t, server.url)
  for (; bodies.length > 0; bodies.shift()) {
    const error = await errorOf(client.session(SESSION, recorder()))
    t.match(error, { name: 'MalformedAnswerError', temporary: true, hiccup: false }, String(bodies[0]))
  }
})

t.test('aborted while the call is under way', async (t) => {
  const sandbox = await sandboxFor(t)
  sandbox.inject({ kind: 'hang', times: 9 })
  const stop = new AbortController()
  const caller = recorder({ signal: stop.signal })
  const error = errorOf(clientFor(t, sandbox.url).end(SESSION, caller))
  await sandbox.waitForCalls(1)
  stop.abort()
  t.match(await error, { name: 'AbortedCallError', code: 'ABORTED', status: null })
  t.same(caller.story, ['admit', 'AbortedCallError'])
})

t.test('aborted in the pause before another try', async (t) => {
  const sandbox = await sandboxFor(t)
  sandbox.inject({ kind: 'status', status: 503, times: 9 })
  const stop = new AbortController()
  const caller = recorder({ signal: stop.signal, onCall: () => void setImmediate(() => stop.abort()) })
  t.match(await errorOf(clientFor(t, sandbox.url).end(SESSION, caller)), { code: 'ABORTED' })
  await pause(450)
  t.same(caller.story, ['admit', 'UnavailableError'])
  t.equal(sandbox.calls.length, 1)
})

t.test('aborted while it waits to be admitted, or before', async (t) => {
  const sandbox = await sandboxFor(t)
  const client = clientFor(t, sandbox.url)
  const stop = new AbortController()
  const admit = () => {
    stop.abort()
    return Promise.reject(new Error('stopped'))
  }
  const caller = recorder({ signal: stop.signal, admit })
  t.match(await errorOf(client.end(SESSION, caller)), { code: 'ABORTED' })
  t.same(caller.story, ['admit'])
  const late = recorder({ signal: AbortSignal.abort() })
  t.match(await errorOf(client.end(SESSION, late)), { code: 'ABORTED' })
  t.same(late.story, [], 'it does not even ask')
  t.equal(sandbox.calls.length, 0)
})

t.test('an abort reaches its own call only', async (t) => {
  const sandbox = await sandboxFor(t)
  sandbox.inject({ kind: 'hang', session: SESSION })
  const other = sandbox.startSession({ room: sandbox.createRoom().id })
  const client = clientFor(t, sandbox.url)
  const stop = new AbortController()
  const aborted = errorOf(client.end(SESSION, recorder({ signal: stop.signal })))
  await sandbox.waitForCalls(1)
  const fine = client.end(other.id, recorder())
  stop.abort()
  t.match(await aborted, { code: 'ABORTED' })
  await fine
  t.equal(sandbox.session(other.id)?.live, false)
})

const base64 = (text: string) => Buffer.from(text).toString('base64')
const SECRETS = [
  CREDENTIALS.developerKey,
  base64(CREDENTIALS.developerKey),
  base64(`${CREDENTIALS.teamId}:${CREDENTIALS.developerKey}`),
]
for (const status of [301, 400, 401, 403, 404, 409, 422, 429, 500])
  for (const form of ['basic', 'bearer', 'bearer-team'] as const)
    t.test(`an error holds no credentials, even where they are echoed: ${status}, ${form}`, async (t) => {
      const server = await httpServer(t, (request, response) => {
        const message = [request.headers.authorization, ...SECRETS].join(' ')
        response.writeHead(status, { 'x-echo': message, location: `/?${SECRETS[0]}` })
        response.end(JSON.stringify({ message: message.slice(0, 190), error: message }))
      })
      const caller = recorder()
      const error = await errorOf(clientFor(t, server.url, { credentials: { form } }).end(SESSION, caller))
      const told = [
        JSON.stringify([error, caller.calls]),
        inspect([error, caller.calls], { depth: 10, showHidden: true }),
        `${error.stack} ${error.cause}`,
      ].join('\n')
      for (const secret of SECRETS) t.notOk(told.includes(secret), secret.slice(0, 9))
      t.match(told, /\[redacted\]/)
    })

for (const [what, url] of [
  ['refused', 'http://127.0.0.1:1'],
  ['unresolvable', 'http://nowhere.invalid'],
] as const)
  t.test(`an error of the network holds no credentials: ${what}`, async (t) => {
    for (const form of ['basic', 'bearer'] as const) {
      const error = await errorOf(clientFor(t, url, { credentials: { form } }).end(SESSION, recorder()))
      const told = JSON.stringify(error) + inspect(error, { depth: 10, showHidden: true })
      t.match(told, /NETWORK/)
      for (const secret of SECRETS) t.notOk(told.includes(secret))
    }
  })
