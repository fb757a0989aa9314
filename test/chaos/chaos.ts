import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { endingsIn } from '../helper/curfew.ts'
import type { PostgresServer } from '../helper/postgres.ts'
import { createDatabase } from '../helper/postgres.ts'
import { type Asked, check, type Findings } from './checker.ts'
import { Fleet } from './fleet.ts'

const REPLICAS = 3
const CLIENTS = 6
const BYSTANDERS = 20
const CALLS_PER_MINUTE = 20_000
// The second replica's machine is half a minute off.
const OFFSETS_MS = [0, 30_000, 0]
const LONGER_THAN_A_LEASE_MS = 17_000

export interface ChaosReport extends Findings {
  seed: number
  disturbances: Record<string, number>
  accepted: number
  cancelled: number
}

type Random = () => number

/** Everything that can go wrong, for so long (ms); then what became of all that was asked. A seed decides what and when. */
export async function chaos(
  postgres: PostgresServer,
  ms: number,
  seed: number,
  random: Random,
): Promise<ChaosReport> {
  const { url, drop } = await createDatabase(postgres.url)
  const sandbox = await startSandbox({ callsPerMinute: 1e9 })
  const env = { CALLS_PER_MINUTE: String(CALLS_PER_MINUTE), CALL_TIMEOUT_MS: '1000', LOG_LEVEL: 'info' }
  const fleet = await Fleet.start(sandbox, url, REPLICAS, env, OFFSETS_MS)
  const room = sandbox.createRoom({}).id
  const bystanders = Array.from({ length: BYSTANDERS }, () => sandbox.startSession({ room }).id)
  const asked: Asked[] = []
  const until = Date.now() + ms
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (Date.now() < until) asked.push(await askOne(fleet, sandbox.startSession({ room }).id, random))
  })
  const disturbances = await disturb({ fleet, postgres, sandbox }, until, random)
  await Promise.all(clients)
  await done(fleet, url)
  const rows = await endingsIn(url)
  const findings = check({ asked, bystanders, rows, sandbox, perWindow: CALLS_PER_MINUTE * 1.05 })
  await fleet.close()
  await sandbox.close()
  await drop()
  const cancelled = asked.filter(({ cancelledAt }) => cancelledAt !== undefined).length
  return { seed, disturbances, accepted: asked.filter(({ id }) => id).length, cancelled, ...findings }
}

async function askOne(fleet: Fleet, session: string, random: Random): Promise<Asked> {
  const later = random() < 0.3
  const dueAt = later ? new Date(Date.now() + random() * 5000).toISOString() : undefined
  const path = `/v1/sessions/${session}/end`
  const answer = await fleet.ask('POST', path, dueAt ? { dueAt } : {}, { 'idempotency-key': randomUUID() })
  const asked: Asked = {
    session,
    id: answer.status === 202 ? answer.body.id : undefined,
    status: answer.status,
  }
  if (!asked.id || !later || random() > 0.3) return asked
  const cancelled = await fleet.once('POST', `/v1/endings/${asked.id}/cancel`)
  if (cancelled?.status === 200) asked.cancelledAt = Date.now()
  else asked.mayBeCancelled = cancelled === undefined || cancelled.status >= 500
  return asked
}

interface Stage {
  fleet: Fleet
  postgres: PostgresServer
  sandbox: Awaited<ReturnType<typeof startSandbox>>
}

/** One thing after the other goes wrong, and is mended again. */
async function disturb(stage: Stage, until: number, random: Random): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  const { fleet, postgres, sandbox } = stage
  const one = () => Math.floor(random() * REPLICAS)
  const kinds: Record<string, () => Promise<void>> = {
    kill: async () => {
      const i = one()
      await fleet.down(i, 'SIGKILL')
      await pause(random() * 1000)
      await fleet.up(i)
    },
    restart: async () => {
      const i = one()
      await fleet.down(i, 'SIGTERM')
      await fleet.up(i)
    },
    suspend: async () => {
      const i = one()
      fleet.signal(i, 'SIGSTOP')
      await pause(random() < 0.3 ? LONGER_THAN_A_LEASE_MS : 2000)
      fleet.signal(i, 'SIGCONT')
    },
    'database away': async () => {
      await postgres.restart()
    },
    'network to the database': async () => {
      const i = one()
      fleet.weather(i, 'database', (['cut', 'slow', 'swallow'] as const)[Math.floor(random() * 3)] as 'cut')
      await pause(1000 + random() * 2000)
      fleet.weather(i, 'database', 'open')
    },
    'network to Digital Samba': async () => {
      const i = one()
      fleet.weather(i, 'upstream', (['cut', 'slow', 'swallow'] as const)[Math.floor(random() * 3)] as 'cut')
      await pause(500 + random() * 2000)
      fleet.weather(i, 'upstream', 'open')
    },
    'Digital Samba answers 500 and 429': async () => {
      for (const status of [500, 429])
        sandbox.inject({
          kind: 'status',
          status,
          times: 3,
          ...(status === 429 ? { headers: { 'retry-after': '2' } } : {}),
        })
      await pause(2500)
    },
  }
  const names = Object.keys(kinds)
  while (Date.now() < until) {
    const name = names[Math.floor(random() * names.length)] as string
    counts[name] = (counts[name] ?? 0) + 1
    await kinds[name]?.()
    await pause(random() * 500)
  }
  for (let i = 0; i < REPLICAS; i += 1) {
    for (const where of ['database', 'upstream'] as const) fleet.weather(i, where, 'open')
    fleet.signal(i, 'SIGCONT')
    await fleet.up(i)
  }
  sandbox.clearFaults()
  return counts
}

const DONE_WITHIN_MS = 60_000

/** Until nothing is pending any more, or it takes too long: the checker says what is left. */
async function done(fleet: Fleet, url: string): Promise<void> {
  for (const until = Date.now() + DONE_WITHIN_MS; Date.now() < until; ) {
    const answer = await fleet.ask('GET', '/status')
    if (answer.status === 200 && answer.body.pending === 0) return
    await pause(200)
  }
  process.stderr.write(`something is still pending in ${new URL(url).pathname}\n`)
}
