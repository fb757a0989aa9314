import { randomUUID } from 'node:crypto'
import t from 'tap'
import manifest from '../package.json' with { type: 'json' }
import { startSandbox } from '../src/sandbox/sandbox.ts'
import { ask, end, startCurfew } from './helper/curfew.ts'
import { onEveryEngine } from './helper/engines.ts'
import { KEYS } from './helper/service.ts'

onEveryEngine(
  t,
  'a process that starts says in one line what it is and what it found',
  async (t, databaseUrl, engine) => {
    const sandbox = await startSandbox()
    t.teardown(() => sandbox.close())
    const SECRET = 'webhook-secret-0123456789'
    const more = {
      DIGITAL_SAMBA_WEBHOOK_SECRET: SECRET,
      DEFAULT_TIME_LIMIT: '2h',
      EVENT_SECRETS: `booking:whsec_${Buffer.alloc(32, 1).toString('base64')}`,
    }
    const ready = async (env: Record<string, string>) => {
      const curfew = await startCurfew(t, sandbox, databaseUrl, env)
      const lines = curfew.lines.filter((line) => line.includes('service.ready'))
      t.equal(lines.length, 1)
      for (const secret of [SECRET, ...Object.values(KEYS), 'sandbox-developer-key', 'whsec_', databaseUrl])
        t.notOk(lines[0]?.includes(secret))
      return { curfew, line: JSON.parse(lines[0] as string) }
    }
    const about = { version: manifest.version, database: engine, callers: 4 }
    const first = await ready({})
    t.match(first.line, {
      ...about,
      address: first.curfew.url,
      pid: first.curfew.pid,
      pending: 0,
      rules: 0,
      holds: 0,
      digitalSambaWebhook: false,
    })
    const { url } = first.curfew
    const in1h = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString()
    await end(url, randomUUID(), { dueAt: in1h(1) })
    const kept = { target: { room: 'some-room' }, dueAt: in1h(1), holdFrom: in1h(-1), holdUntil: in1h(2) }
    t.equal((await ask(url, '/v1/endings', kept)).statusCode, 202)
    const ahead = { ...kept, target: { room: 'other-room' }, holdFrom: in1h(1) }
    t.equal((await ask(url, '/v1/endings', ahead)).statusCode, 202)
    first.curfew.signal('SIGTERM')
    await first.curfew.exited
    const { line } = await ready(more)
    t.match(line, { ...about, pending: 3, rules: 1, holds: 1, digitalSambaWebhook: true })
  },
)
