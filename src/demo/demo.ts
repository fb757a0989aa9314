import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../clock.ts'
import { startSandbox } from '../sandbox/sandbox.ts'
import { DemoCurfew, EVENT_SECRETS, KEYS } from './curfew.ts'
import { followsBooking, suspendsAccount } from './events.ts'
import { narrator, printLedger } from './report.ts'
import {
  endsAtOnce,
  endsOnTime,
  endsRoom,
  outlastsTrouble,
  type Stage,
  saysWhyNot,
  survivesKill,
} from './steps.ts'

/** The main job, shown as it happens: Curfew in a process of its own against the sandbox in this one. */
const LONGEST_MS = 60_000

const folder = mkdtempSync(join(tmpdir(), 'curfew-demo-'))
const { now } = systemClock
const sandbox = await startSandbox()
const env = {
  PORT: '0',
  DIGITAL_SAMBA_URL: sandbox.url,
  DIGITAL_SAMBA_TEAM_ID: 'sandbox-team',
  DIGITAL_SAMBA_DEVELOPER_KEY: 'sandbox-developer-key',
  DATABASE_URL: `file:${join(folder, 'curfew.db')}`,
  API_KEYS: `booking:${KEYS.booking},billing:${KEYS.billing}`,
  EVENT_SECRETS: `booking:${EVENT_SECRETS.booking},billing:${EVENT_SECRETS.billing}`,
}
const broken: string[] = []
const expect = (kept: boolean, promise: string) => void (kept || broken.push(promise))
const stage: Stage = { sandbox, curfew: new DemoCurfew(env), env, say: narrator(now), expect, now }

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void leave(130))
const limit = setTimeout(() => {
  process.stdout.write(`The demo took longer than ${LONGEST_MS / 1000} seconds.\n`)
  void leave(1)
}, LONGEST_MS)

try {
  await play()
} catch (error) {
  broken.push((error as Error).message)
}
clearTimeout(limit)
for (const promise of broken) process.stdout.write(`NOT AS PROMISED: ${promise}\n`)
await leave(broken.length > 0 ? 1 : 0)

async function play(): Promise<void> {
  await stage.curfew.ready()
  stage.say(`Curfew and its sandbox are up (${sandbox.url})`)
  const bystander = sandbox.startSession({ room: sandbox.createRoom({}).id })
  await endsAtOnce(stage)
  await endsRoom(stage)
  await endsOnTime(stage)
  await outlastsTrouble(stage)
  await saysWhyNot(stage)
  await followsBooking(stage)
  await suspendsAccount(stage)
  await survivesKill(stage)
  const endings = await printLedger(stage.curfew)
  expect(bystander.live, 'a session that nobody asked to end lives on')
  expect(endings.filter(({ state }) => state === 'ended').length === 30, '30 endings are done')
  expect(endings.filter(({ state }) => state === 'failed').length === 1, 'one failed')
  expect(endings.filter(({ state }) => state === 'cancelled').length === 1, 'one was taken back')
  if (broken.length === 0)
    process.stdout.write(
      '\nEverything was as promised, and the session that nobody asked about is still live.\n',
    )
}

async function leave(code: number): Promise<void> {
  await stage.curfew.end('SIGKILL')
  await sandbox.close()
  rmSync(folder, { recursive: true, force: true })
  process.exit(code)
}
