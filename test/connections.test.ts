import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { mostConnections } from '../src/plugins/connections.ts'
import { startSandbox } from '../src/sandbox/sandbox.ts'
import { ask, end } from './helper/curfew.ts'
import { freshUrl } from './helper/engines.ts'
import { MACHINE } from './helper/machine.ts'
import { environment, KEYS, until } from './helper/service.ts'

const SERVER = fileURLToPath(new URL('../src/server.ts', import.meta.url))

/** A process of its own that may have so many files open. */
async function startWith(t: Test, openFiles: number, env: Record<string, string>): Promise<string> {
  const child = spawn('/bin/sh', ['-c', `ulimit -n ${openFiles}; exec "$0" "$1"`, process.execPath, SERVER], {
    cwd: '/',
    env: { ...MACHINE, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await once(child, 'close')
  })
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.includes('service.ready')) resolve(/http:[^"\s,]+/.exec(line)?.[0] as string)
  })
  child.once('exit', () => reject(new Error('it did not start')))
  return promise
}

/** Connections that nothing is sent over. */
async function idle(
  t: Test,
  url: string,
  count: number,
): Promise<{ sockets: Socket[]; closed: () => number }> {
  const { port, hostname } = new URL(url)
  let closed = 0
  const sockets = Array.from({ length: count }, () => connect(Number(port), hostname).on('error', () => {}))
  t.teardown(() => sockets.forEach((socket) => void socket.destroy()))
  for (const socket of sockets) socket.on('close', () => (closed += 1))
  await Promise.all(sockets.map((socket) => socket.closed || once(socket, 'connect').catch(() => undefined)))
  return { sockets, closed: () => closed }
}

t.test('1100 idle connections under a limit of 1024 files keep nobody from being ended', async (t) => {
  const sandbox = await startSandbox()
  t.teardown(() => sandbox.close())
  const url = await startWith(t, 1024, environment(sandbox, await freshUrl(t, 'sqlite')))
  const { closed } = await idle(t, url, 1100)
  const room = sandbox.createRoom().id
  for (let i = 0; i < 5; i += 1) {
    const session = sandbox.startSession({ room })
    await end(url, session.id)
    await until(() => !session.live)
  }
  const status = JSON.parse((await ask(url, '/status')).body)
  t.match(status, { calls: { state: 'ok' } }, 'no call has failed')
  t.ok(closed() >= 300, `${closed()} of the idle ones gave way`)
})

t.test('the oldest idle stranger gives way, not who is known', async (t) => {
  const sandbox = await startSandbox()
  t.teardown(() => sandbox.close())
  const url = await startWith(t, 256, environment(sandbox, await freshUrl(t, 'sqlite')))
  const { port, hostname } = new URL(url)
  const known = connect(Number(port), hostname)
  t.teardown(() => known.destroy())
  const get = `GET /v1/endings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEYS.booking}\r\n\r\n`
  const answered = async () => {
    known.write(get)
    const [data] = await once(known, 'data')
    return String(data).startsWith('HTTP/1.1 200')
  }
  t.ok(await answered())
  const { sockets } = await idle(t, url, 300)
  await until(() => sockets.filter(({ destroyed }) => destroyed).length >= 150)
  t.ok(await answered(), 'the same connection')
  t.equal(sockets.at(-1)?.destroyed, false, 'the newest stays')
})

t.test('how many there may be', async (t) => {
  t.equal(mostConnections(1024, 10), 768)
  t.equal(mostConnections(1024, 500), 396)
  t.equal(mostConnections(65_536, 10), 8192)
  t.equal(mostConnections(Number.MAX_SAFE_INTEGER, 10), 8192)
  t.equal(mostConnections(64, 10), 16)
})
