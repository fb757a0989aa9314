import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { CallsHeldError } from '../../src/calls/gate.ts'
import type { DigitalSambaError } from '../../src/digital-samba/errors.ts'
import type { Fault } from '../../src/sandbox/sandbox.ts'
import { clientFor, errorOf, httpServer, recorder, SESSION, sandboxFor } from './helper.ts'

// Each of these takes the pauses between the tries, so they run beside each other.
t.jobs = 20

const HICCUPS: [string, Fault, Partial<DigitalSambaError>][] = [
  ['502', { kind: 'status', status: 502 }, { name: 'UnavailableError', status: 502 }],
  ['503', { kind: 'status', status: 503 }, { name: 'UnavailableError', status: 503 }],
  ['504', { kind: 'status', status: 504 }, { name: 'UnavailableError', status: 504 }],
  [
    '503 with a short retry-after',
    { kind: 'status', status: 503, headers: { 'retry-after': '1' } },
    { name: 'UnavailableError', status: 503, retryAfterMs: 1000 },
  ],
  ["a proxy's page", { kind: 'html' }, { name: 'UnavailableError', status: 502 }],
  ['a reset', { kind: 'reset' }, { name: 'NetworkError', code: 'NETWORK', status: null }],
  ['a time-out', { kind: 'hang' }, { name: 'CallTimeoutError', code: 'TIMEOUT', status: null }],
  ['a broken-off answer', { kind: 'truncate' }, { name: 'NetworkError', code: 'NETWORK', status: null }],
]

// A busy machine may take a while to answer; only where no answer ever comes is the wait for it part of the test.
const patience = ({ kind }: Fault) => ({ timeoutMs: kind === 'hang' ? 1000 : 10_000 })

for (const [what, fault, expected] of HICCUPS) {
  t.test(`${what} is tried twice more and no further`, async (t) => {
    const sandbox = await sandboxFor(t)
    sandbox.inject({ ...fault, times: Number.POSITIVE_INFINITY })
    const caller = recorder()
    const error = await errorOf(clientFor(t, sandbox.url, patience(fault)).end(SESSION, caller))
    t.match(error, { ...expected, temporary: true, hiccup: true })
    t.equal(sandbox.calls.length, 3)
    const { name = '' } = expected
    t.same(caller.story, ['admit', name, 'admit', name, 'admit', name])
    t.equal(caller.calls.at(-1)?.error, error, 'the last one is what is thrown')
  })

  t.test(`${what} that is over at the second try`, async (t) => {
    const sandbox = await sandboxFor(t)
    const session = sandbox.startSession({ room: sandbox.createRoom().id })
    sandbox.inject(fault)
    const caller = recorder()
    await clientFor(t, sandbox.url, patience(fault)).end(session.id, caller)
    t.same(caller.story, ['admit', expected.name, 'admit', 'ok'])
    t.equal(sandbox.session(session.id)?.live, false)
  })
}

t.test('the pauses are 200 to 400 and 400 to 800 ms', async (t) => {
  const sandbox = await sandboxFor(t)
  sandbox.inject({ kind: 'status', status: 503, times: 3 })
  const admitted: number[] = []
  const told: number[] = []
  const caller = recorder({
    admit: async () => void admitted.push(performance.now()),
    onCall: () => void told.push(performance.now()),
  })
  await errorOf(clientFor(t, sandbox.url).end(SESSION, caller))
  const waited = [1, 2].map((n) => Math.round((admitted[n] as number) - (told[n - 1] as number)))
  t.ok((waited[0] as number) >= 195, `first ${waited[0]} ms`)
  t.ok((waited[1] as number) >= 395, `second ${waited[1]} ms`)
  // Far more than the most, for a machine that is busy; still far less than a budget's or a backoff's wait.
  t.ok((waited[0] as number) < 2000 && (waited[1] as number) < 2500)
})

for (const [seconds, tries] of [
  ['2', 1],
  ['30', 1],
  ['0', 3],
] as const)
  t.test(`a 503 with a retry-after of ${seconds} s is tried ${tries} times`, async (t) => {
    const sandbox = await sandboxFor(t)
    sandbox.inject({ kind: 'status', status: 503, headers: { 'retry-after': seconds }, times: 5 })
    const error = await errorOf(clientFor(t, sandbox.url).end(SESSION, recorder()))
    t.equal(sandbox.calls.length, tries)
    t.match(error, { retryAfterMs: Number(seconds) * 1000, temporary: true })
  })

for (const status of [500, 501, 429, 401, 302, 200])
  t.test(`nothing but a hiccup is repeated: ${status}`, async (t) => {
    const server = await httpServer(t, (_, response) => {
      response.writeHead(status, { location: '/login' }).end('{}')
    })
    const client = clientFor(t, server.url)
    await client.session(SESSION, recorder()).catch(() => undefined)
    await client.end(SESSION, recorder()).catch(() => undefined)
    // Longer than the longest first pause, so that a second try would have come.
    await pause(450)
    t.equal(server.arrived.calls, 2)
  })

t.test('where admit refuses, nothing leaves and nobody is told of a call', async (t) => {
  const sandbox = await sandboxFor(t)
  const held = new CallsHeldError('held')
  const caller = recorder({ admit: () => Promise.reject(held) })
  t.equal(
    await clientFor(t, sandbox.url)
      .end(SESSION, caller)
      .catch((error) => error),
    held,
  )
  t.same(caller.story, ['admit'])
  t.equal(sandbox.calls.length, 0)
})

t.test('where admit refuses the second try, the first one is what comes out: it was made', async (t) => {
  const sandbox = await sandboxFor(t)
  sandbox.inject({ kind: 'reset', times: 3 })
  const caller = recorder({
    admit: async () => {
      if (sandbox.calls.length > 0) throw new CallsHeldError('held')
    },
  })
  t.match(await errorOf(clientFor(t, sandbox.url).end(SESSION, caller)), { name: 'NetworkError' })
  t.same(caller.story, ['admit', 'NetworkError', 'admit'])
  t.equal(sandbox.calls.length, 1)
})

t.test('a call is told with its own start and duration, not those of the wait before it', async (t) => {
  const sandbox = await sandboxFor(t)
  const caller = recorder({ admit: () => pause(200) })
  const before = Date.now()
  await errorOf(clientFor(t, sandbox.url).end(SESSION, caller))
  const [call] = caller.calls
  t.ok((call?.startedAt ?? 0) >= before + 195)
  t.ok((call?.durationMs ?? Number.POSITIVE_INFINITY) <= Date.now() - before - 195)
})

t.test('a refused connection is a hiccup like any other', async (t) => {
  const sandbox = await sandboxFor(t)
  await sandbox.close()
  const caller = recorder()
  const error = await errorOf(clientFor(t, sandbox.url).end(SESSION, caller))
  t.match(error, { name: 'NetworkError', message: 'no answer: ECONNREFUSED', status: null })
  t.equal(caller.calls.length, 3)
})
