import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { MACHINE } from '../helper/machine.ts'
import { startProcess } from '../helper/process.ts'
import { type Env, KEY, problems, REQUIRED } from './cases.ts'

const SERVER = fileURLToPath(new URL('../../src/server.ts', import.meta.url))
// Nobody answers there, and nothing is due before the test is over.
const OFFLINE = { ...REQUIRED, PORT: '0', DIGITAL_SAMBA_URL: 'http://127.0.0.1:1' }

interface Ended {
  code: unknown
  stdout: string
  stderr: string
}

/** A Curfew that should not start. The time is only there to end one that does. */
function run(env: Env, cwd: string): Promise<Ended> {
  const options = {
    cwd,
    env: { ...MACHINE, ...env },
    timeout: 60_000,
    killSignal: 'SIGKILL',
  } as const
  return new Promise((resolve) =>
    execFile(process.execPath, [SERVER], options, (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, stdout, stderr }),
    ),
  )
}

t.test('a bad configuration is all that a process says', async (t) => {
  const folder = t.testdir({ '.env': 'RETRY_FOR=sEcReT\nDATABASE_URL_FILE=missing\n', key: 'sEcReT\n' })
  const bad = {
    PORT: 'sEcReT',
    DIGITAL_SAMBA_URL: 'https://me:sEcReT@api.example.org',
    DIGITAL_SAMBA_DEVELOPER_KEY: 'sEcReT',
    DIGITAL_SAMBA_DEVELOPER_KEY_FILE: '/sEcReT',
    API_KEYS_FILE: 'key',
    OPERATOR_KEYS: 'ops:sEcReT',
    CALLS_PER_MINUTE: '0',
  }
  const { code, stdout, stderr } = await run(bad, folder)
  t.equal(code, 1)
  t.equal(stdout, '')
  const [title, ...lines] = stderr.trimEnd().split('\n')
  t.equal(title, 'curfew: the configuration is not right:')
  t.same(
    lines.map((line) => /^ {2}(\w+) (must|is)/.exec(line)?.[1]).sort(),
    ['RETRY_FOR', 'DATABASE_URL_FILE', 'API_KEYS', 'DIGITAL_SAMBA_TEAM_ID', ...Object.keys(bad)]
      .filter((name) => name !== 'DIGITAL_SAMBA_DEVELOPER_KEY' && name !== 'API_KEYS_FILE')
      .sort(),
  )
  t.same(
    lines.map((line) => line.trim()),
    await problems(bad, folder),
  )
  t.notMatch(stderr, 'sEcReT')
  t.notOk(existsSync(join(folder, 'data')), 'and nothing was opened')
})

t.test('a process whose configuration is all in .env', async (t) => {
  const lines = Object.entries({ ...OFFLINE, PORT: '1', DATABASE_URL: 'file:below/curfew.db' })
  const folder = t.testdir({ '.env': lines.map(([name, value]) => `${name}=${value}\n`).join('') })
  const curfew = await startProcess({ PORT: '0' }, folder)
  t.teardown(() => curfew.signal('SIGKILL'))
  t.ok(existsSync(join(folder, 'below/curfew.db')), 'with a ledger relative to the directory')
  t.equal((await fetch(`${curfew.url}/readyz`)).status, 200)
  curfew.signal('SIGTERM')
  t.equal(await curfew.exited, 0)
})

t.test('a second process on the same file is refused, and the first goes on', async (t) => {
  const folder = t.testdir({})
  const env = { ...OFFLINE, DATABASE_URL: 'file:curfew.db' }
  const first = await startProcess(env, folder)
  t.teardown(() => first.signal('SIGKILL'))
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ target: { session: randomUUID() }, dueAt: new Date(Date.now() + 9e6) })
  const ask = async () => (await fetch(`${first.url}/v1/endings`, { method: 'POST', headers, body })).status
  t.equal(await ask(), 202)
  for (const url of ['file:curfew.db', `file:${join(folder, 'curfew.db')}`]) {
    const { code, stdout, stderr } = await run({ ...env, DATABASE_URL: url }, folder)
    t.equal(code, 1)
    t.equal(stdout, '')
    t.match(
      stderr,
      /^curfew: cannot start: DATABASE_URL: another Curfew process is using \S*curfew\.db; .*\n$/,
    )
    t.notOk(stderr.includes(KEY))
    t.equal(await ask(), 202, 'the first is not disturbed')
  }
  first.signal('SIGTERM')
  t.equal(await first.exited, 0)
  const next = await startProcess(env, folder)
  t.teardown(() => next.signal('SIGKILL'))
  const { data } = (await (await fetch(`${next.url}/v1/endings`, { headers })).json()) as { data: unknown[] }
  t.equal(data.length, 3, 'the file is free again, with all that was accepted')
  next.signal('SIGTERM')
  t.equal(await next.exited, 0)
})

for (const LOG_FORMAT of ['json', 'pretty'])
  t.test(`a PostgreSQL that is not there ends the start (${LOG_FORMAT})`, async (t) => {
    const folder = t.testdir({})
    const start = (password: string) =>
      run(
        {
          ...OFFLINE,
          LOG_FORMAT,
          DATABASE_WAIT: '0s',
          DATABASE_URL: `postgres://curfew:${password}@127.0.0.1:1/curfew`,
        },
        folder,
      )
    // Each starts a Node, which takes longer than all it does; so they do it at once.
    for (const { code, stdout, stderr } of await Promise.all(
      ['sEcReT', 'sEcReT%2F%40', 'sEcReT%'].map(start),
    )) {
      t.equal(code, 1)
      t.equal(stdout, '')
      t.match(stderr, /^curfew: cannot start: DATABASE_URL: 127.0.0.1:1\/curfew refuses the connection;.*\n$/)
      t.notMatch(stdout + stderr, 'sEcReT')
    }
  })
