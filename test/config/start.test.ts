import { execFile, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { openDatabase } from '../../src/storage/engine/database.ts'
import { freshUrl } from '../helper/engines.ts'
import { MACHINE } from '../helper/machine.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { query } from '../helper/postgres.ts'
import { until } from '../helper/service.ts'
import { type Env, REQUIRED } from './cases.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const OFFLINE = { ...REQUIRED, PORT: '0', DIGITAL_SAMBA_URL: 'http://127.0.0.1:1' }

/** What a Curfew says that cannot start: one line, and nothing else. */
async function refusal(t: Test, env: Env): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-start-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const options = { cwd: folder, env: { ...MACHINE, ...OFFLINE, ...env }, timeout: 60_000 }
  const args = [join(ROOT, 'src/server.ts')]
  const { code, stdout, stderr } = await new Promise<{ code: unknown; stdout: string; stderr: string }>(
    (resolve) =>
      execFile(process.execPath, args, options, (error, stdout, stderr) =>
        resolve({ code: error?.code, stdout, stderr }),
      ),
  )
  t.equal(code, 1, stderr)
  t.equal(stdout, '')
  t.equal(stderr.trimEnd().split('\n').length, 1, 'one line')
  return stderr
}

async function listen(t: Test, port = 0): Promise<number> {
  const server: Server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return (server.address() as { port: number }).port
}

t.test('an address that cannot be listened on', async (t) => {
  const port = await listen(t)
  const said = await refusal(t, { PORT: String(port) })
  t.match(said, `curfew: cannot start: PORT ${port} on 127.0.0.1 is in use by another process`)
  t.match(
    await refusal(t, { HOST: '192.0.2.1' }),
    'cannot start: HOST 192.0.2.1 is no address of this machine',
  )
})

t.test('a SQLite file that cannot be', async (t) => {
  const folder = t.testdir({ text: 'this is no database, and longer than its header would be'.repeat(9) })
  mkdirSync(join(folder, 'directory.db'))
  for (const [path, wanted] of [
    ['text', 'text is not a SQLite database; name another file'],
    [
      'directory.db',
      'directory.db cannot be opened; it has to be a file in a folder where this user may write',
    ],
    ['no/where/curfew.db', 'curfew.db is in a folder whose parent does not exist; make that folder'],
    ['text/curfew.db', 'curfew.db cannot be opened; it has to be a file in a folder'],
  ] as const) {
    const said = await refusal(t, { DATABASE_URL: `file:${join(folder, path)}` })
    t.match(said, `curfew: cannot start: DATABASE_URL: ${folder}`)
    t.match(said, wanted)
  }
})

t.test('a ledger of a newer version', async (t) => {
  for (const engine of ['sqlite', 'postgres'] as const) {
    const url = await freshUrl(t, engine)
    const { close } = await openDatabase({ url, clock: new ManualClock() })
    await close()
    const text = `insert into kysely_migration (name, timestamp) values ('999-later', '2030-01-01')`
    if (engine === 'postgres') await query(url, text)
    else {
      const db = new DatabaseSync(url.slice('file:'.length))
      db.exec(text)
      db.close()
    }
    t.match(await refusal(t, { DATABASE_URL: url }), 'belongs to a newer version of Curfew')
  }
})

t.test('a PostgreSQL that is not as the configuration says', async (t) => {
  const url = await freshUrl(t, 'postgres')
  const other = (change: (url: URL) => void) => {
    const changed = new URL(url)
    change(changed)
    return changed.href
  }
  const wrong = [
    [other((url) => Object.assign(url, { pathname: '/no-such' })), 'has no such database; create it'],
    [other((url) => Object.assign(url, { hostname: 'no-such-host.invalid' })), /is a host that/],
    [other((url) => Object.assign(url, { port: String(1) })), 'refuses the connection'],
  ] as const
  for (const [DATABASE_URL, wanted] of wrong) {
    const said = await refusal(t, { DATABASE_URL, DATABASE_WAIT: '0s' })
    t.match(said, /^curfew: cannot start: DATABASE_URL: /)
    t.match(said, wanted)
    t.notMatch(said, 'curfew:curfew')
  }
})

t.test('an old Node says which is needed', async (t) => {
  // Stands in for one: the script asks for the version and nothing else.
  const options = { cwd: ROOT, env: { ...MACHINE, NODE_OPTIONS: `--import ${oldNode(t)}` } }
  const args = ['--import', './src/node-version.js', 'src/server.ts']
  const stderr = await new Promise<string>((resolve) =>
    execFile(process.execPath, args, options, (_, __, said) => resolve(said)),
  )
  t.equal(
    stderr,
    'curfew: Node 24 or newer is needed, and this is 20.1.0: run "npm ci", which brings one for every npm script, or install it\n',
  )
})

function oldNode(t: Test): string {
  const file = join(t.testdir({}), 'old.mjs')
  writeFileSync(file, `Object.defineProperty(process.versions, 'node', { value: '20.1.0' })`)
  chmodSync(file, 0o644)
  return file
}

for (const script of ['start', 'dev'])
  t.test(`npm run ${script} stops when npm is told to`, async (t) => {
    const [port, sandbox] = await Promise.all([freePort(), freePort()])
    const env = {
      ...process.env,
      ...OFFLINE,
      PORT: String(port),
      SANDBOX_PORT: String(sandbox),
      DATABASE_URL: `file:${join(t.testdir({}), 'curfew.db')}`,
    }
    const npm = spawn('npm', ['run', script], { cwd: ROOT, env, stdio: 'ignore' })
    const exited = new Promise((resolve) => npm.once('exit', resolve))
    t.teardown(() => npm.kill('SIGKILL'))
    const isUp = async () =>
      (await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined))?.ok === true
    await until(isUp)
    npm.kill('SIGTERM')
    await exited
    await until(async () => !(await isUp()))
    t.pass('and nothing listens any more')
  })

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
