import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { gather } from '../config/sources.ts'
import { startSandbox } from '../sandbox/sandbox.ts'
import { printingReceiver } from './receiver.ts'

/** The sandbox and a Curfew that starts again on every change, for working on it. What is set already wins. */
const KEY = 'booking-key-for-developing'
const EVENT_SECRET = `whsec_${Buffer.from('event-secret-for-developing-only').toString('base64')}`
const WEBHOOK_SECRET = 'webhook-secret-for-developing'
const NOTIFY_SECRET = `whsec_${Buffer.from('notify-secret-for-developing').toString('base64')}`
const root = fileURLToPath(new URL('../..', import.meta.url))
// The service takes it from `.env` too, where it is not set here.
const port = gather(process.env, root).values.PORT ?? '3000'
const sandbox = await startSandbox({ port: Number(process.env.SANDBOX_PORT || 4010) })
const room = sandbox.createRoom({ friendlyUrl: 'demo-room', externalId: 'demo-external' })
sandbox.startSession({ room: room.id })
sandbox.createWebhook({
  endpoint: `http://127.0.0.1:${port}/v1/webhooks/digital-samba`,
  events: ['session_started', 'session_ended'],
  authorizationHeader: WEBHOOK_SECRET,
})

// What booking is told of its endings is printed, so that one sees what a receiver gets.
const receiver = await printingReceiver(NOTIFY_SECRET)

const curfew = spawn(process.execPath, ['--watch', '--watch-path=src', 'src/server.ts'], {
  cwd: root,
  stdio: 'inherit',
  env: {
    DIGITAL_SAMBA_URL: sandbox.url,
    DIGITAL_SAMBA_TEAM_ID: 'sandbox-team',
    DIGITAL_SAMBA_DEVELOPER_KEY: 'sandbox-developer-key',
    API_KEYS: `booking:${KEY}`,
    OPERATOR_KEYS: 'ops:operator-key-for-developing',
    EVENT_SECRETS: `billing:${EVENT_SECRET}`,
    DIGITAL_SAMBA_WEBHOOK_SECRET: WEBHOOK_SECRET,
    DATABASE_URL: 'file:./data/dev.db',
    NOTIFY_URLS: `booking:${receiver.url}`,
    NOTIFY_SECRETS: `booking:${NOTIFY_SECRET}`,
    LOG_FORMAT: 'pretty',
    ...process.env,
  },
})
process.stdout.write(`sandbox on ${sandbox.url}; somebody is in demo-room. Try:
  curl -X POST -H 'Authorization: Bearer ${KEY}' http://127.0.0.1:${port}/v1/rooms/demo-room/end
  curl -X POST ${sandbox.url}/sandbox/rooms/demo-room/enter      # and walk in again
Events may be signed by billing with ${EVENT_SECRET}; docs/events.md shows how.
What booking is told of its endings appears here as "told".
`)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => curfew.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal))
// An npm that was killed could not pass anything on.
const parent = process.ppid
setInterval(() => process.ppid === parent || curfew.kill('SIGTERM'), 1000).unref()
curfew.once('exit', async (code) => {
  receiver.close()
  await sandbox.close()
  process.exit(code ?? 0)
})
