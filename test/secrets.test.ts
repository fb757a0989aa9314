import { join } from 'node:path'
import t from 'tap'
import { startSandbox } from '../src/sandbox/sandbox.ts'
import { startProcess } from './helper/process.ts'
import { environment } from './helper/service.ts'

const SECRET = {
  booking: 'sEcReT-booking-0123456789abcdef',
  ops: 'sEcReT-operator-0123456789abcdef',
  developer: 'sEcReT-developer-0123456789abcdef',
  wrong: 'sEcReT-wrong-key-0123456789abcdef',
}
const TEAM = 'the-team'
const base64 = (text: string) => Buffer.from(text).toString('base64')
const FORBIDDEN = [
  ...Object.values(SECRET),
  ...Object.values(SECRET).map(base64),
  ...Object.values(SECRET).map((secret) => base64(`${TEAM}:${secret}`)),
]

for (const LOG_FORMAT of ['json', 'pretty'])
  t.test(`no secret in any line, answer or header, whatever fails (${LOG_FORMAT})`, async (t) => {
    const sandbox = await startSandbox({ teamId: TEAM, developerKey: SECRET.developer })
    t.teardown(() => sandbox.close())
    const env = environment(sandbox, `file:${join(t.testdir(), 'curfew.db')}`, {
      DIGITAL_SAMBA_TEAM_ID: TEAM,
      DIGITAL_SAMBA_DEVELOPER_KEY: SECRET.developer,
      API_KEYS: `booking:${SECRET.booking}`,
      OPERATOR_KEYS: `ops:${SECRET.ops}`,
      LOG_LEVEL: 'trace',
      LOG_FORMAT,
      CALL_TIMEOUT_MS: '100',
    })
    const curfew = await startProcess(env)
    const heard: string[] = []
    const send = async (path: string, key: string, more: RequestInit & { wait?: number } = {}) => {
      const headers = {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        prefer: `wait=${more.wait ?? 1}`,
        ...(more.headers as Record<string, string>),
      }
      const answer = await fetch(curfew.url + path, { method: 'POST', ...more, headers })
      heard.push(await answer.text(), JSON.stringify([...answer.headers]))
    }
    const room = sandbox.createRoom({}).id
    const path = () => `/v1/sessions/${sandbox.startSession({ room }).id}/end`
    const echo = `you sent ${SECRET.developer} and ${base64(`${TEAM}:${SECRET.developer}`)}`
    for (const fault of [
      { kind: 'status', status: 500, body: { message: echo } },
      { kind: 'status', status: 400, body: { message: echo, error: echo } },
      { kind: 'status', status: 503, times: 3, body: { message: echo } },
      { kind: 'hang', times: 3 },
      { kind: 'reset', times: 3 },
      { kind: 'html' },
      { kind: 'redirect', headers: { location: `/login?key=${SECRET.developer}` } },
    ] as const) {
      sandbox.clearFaults()
      sandbox.inject(fault)
      await send(path(), SECRET.booking)
    }
    sandbox.clearFaults()
    await send(path(), SECRET.wrong)
    await send(`/v1/endings?key=${SECRET.booking}`, SECRET.booking)
    await send('/v1/endings', SECRET.booking, { body: `{"key": "${SECRET.wrong}", ` })
    await send('/v1/nowhere', SECRET.ops, { headers: { 'x-api-key': SECRET.ops, cookie: SECRET.ops } })
    sandbox.setCredentials({ developerKey: 'another' })
    await send(path(), SECRET.booking, { wait: 0 })
    await sandbox.waitForCalls((calls) => calls.some(({ status }) => status === 401))
    curfew.signal('SIGTERM')
    t.equal(await curfew.exited, 0)
    const output = [...curfew.lines, ...heard].join('\n')
    t.match(output, /calls\.refused/, 'the output is what it is taken for')
    t.match(output, /ending\.attempted/)
    for (const secret of FORBIDDEN) t.notOk(output.includes(secret), `without ${secret.slice(0, 14)}…`)
  })

t.test('a database that cannot be reached is named without its password', async (t) => {
  const sandbox = await startSandbox()
  t.teardown(() => sandbox.close())
  const env = environment(sandbox, `postgres://curfew:${SECRET.wrong}@127.0.0.1:1/curfew`, {
    LOG_LEVEL: 'trace',
    DATABASE_WAIT: '0s',
  })
  const failure = await startProcess(env).then(
    () => '',
    (error: Error) => error.message,
  )
  t.match(failure, /exited with 1/)
  t.match(failure, /ECONNREFUSED/)
  t.notOk(failure.includes(SECRET.wrong))
})
