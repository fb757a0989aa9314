import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { startSandbox } from '../src/sandbox/sandbox.ts'
import type { Engine } from '../src/storage/schema.ts'
import { seeded } from '../test/helper/crash.ts'
import { createDatabase, startPostgres } from '../test/helper/postgres.ts'
import { environment, KEYS } from '../test/helper/service.ts'
import { toldAfterKills } from '../test/notifications/kills.ts'
import { percentile, residentMb } from './measure.ts'
import { startMeasured } from './process.ts'
import { RECEIVERS, receiverAside } from './receivers.ts'
import { latenessOf500, warmUp } from './timeliness.ts'

/**
 * What telling callers costs, and what it holds: `npm run notifications -- [kills] [lateness] [many]`; all of them where none
 * is named. `KILLS` and `SEED` for the first, `RECEIVERS` (a
 * list of names) for the second.
 */
const wanted = process.argv.slice(2)
const SECRET = `whsec_${Buffer.from('notify-secret-0123456789-abcdef').toString('base64')}`
const postgres = await startPostgres({ durable: true })
const folder = mkdtempSync(join(tmpdir(), 'curfew-notifications-'))
let files = 0
const fresh = async (engine: Engine) => {
  files += 1
  return engine === 'sqlite'
    ? `file:${join(folder, `${files}.db`)}`
    : (await createDatabase(postgres.url)).url
}

type Behaviour = (
  response: import('node:http').ServerResponse,
  request: import('node:http').IncomingMessage,
) => void

/** A receiver that only counts: verifying would take from what is measured. */
async function receiver(behave: Behaviour) {
  const came: number[] = []
  const ids = new Set<string>()
  const server = createServer((request, response) => {
    came.push(Date.now())
    ids.add(String(request.headers['webhook-id']))
    request.resume().once('end', () => behave(response, request))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  return { url: `http://127.0.0.1:${port}/`, came, ids, close }
}

const WELL: Behaviour = (response) => void response.writeHead(204).end()
const tells = (urls: Record<string, string>) => ({
  NOTIFY_URLS: Object.entries(urls)
    .map(([name, url]) => `${name}:${url}`)
    .join(),
  NOTIFY_SECRETS: Object.keys(urls)
    .map((name) => `${name}:${SECRET}`)
    .join(),
})

const shows: Record<string, () => Promise<void>> = {
  kills: async () => {
    const seed = Number(process.env.SEED ?? 1)
    for (const engine of ['sqlite', 'postgres'] as const) {
      const report = await toldAfterKills(await fresh(engine), Number(process.env.KILLS ?? 20), seeded(seed))
      say(`kills, ${engine}, seed ${seed}: ${JSON.stringify(report)}`)
    }
  },
  lateness: async () => {
    for (const engine of ['sqlite', 'postgres'] as const) {
      const names = (process.env.RECEIVERS ?? RECEIVERS.join()).split(',')
      await lateness(engine, 'told to nobody', undefined)
      for (const name of names) await lateness(engine, name, name)
    }
  },
  many: async () => {
    for (const engine of ['sqlite', 'postgres'] as const) await many(engine)
  },
}

async function lateness(engine: Engine, name: string, behaviour: string | undefined): Promise<void> {
  const sandbox = await startSandbox({ callsPerMinute: 1e9 })
  const receiving = behaviour === undefined ? undefined : await receiverAside(behaviour)
  const env = environment(sandbox, await fresh(engine), {
    CALLS_PER_MINUTE: '100000',
    ...(receiving ? tells({ booking: receiving.url }) : {}),
  })
  const curfew = await startMeasured(env)
  await warmUp(curfew, sandbox)
  const late = await latenessOf500(curfew, sandbox, engine)
  await curfew.end('SIGKILL')
  const came = await receiving?.close()
  await sandbox.close()
  say(
    `lateness of 500 endings over 5 s, ${engine}, receiver ${name}: p50 ${percentile(late, 0.5)}, p99 ${percentile(late, 0.99)} ms; ${came ?? 0} requests came`,
  )
}

const MANY = 10_000

async function many(engine: Engine): Promise<void> {
  const sandbox = await startSandbox({ callsPerMinute: 1e9 })
  let isClosed = true
  const crowded = await receiver((response, request) =>
    isClosed ? response.writeHead(503).end() : WELL(response, request),
  )
  const other = await receiver(WELL)
  const env = environment(sandbox, await fresh(engine), tells({ booking: crowded.url, desk: other.url }))
  const curfew = await startMeasured(env)
  const ask = async (method: string, path: string, body: object, key: string = KEYS.booking) =>
    (
      await fetch(`${curfew.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        ...(method === 'GET' ? {} : { body: JSON.stringify(body) }),
      })
    ).json() as Promise<{ id: string; more: boolean; notifications: { pending: number } }>
  const dueAt = new Date(Date.now() + 3_600_000).toISOString()
  let asked = 0
  const client = async () => {
    while (asked < MANY) {
      asked += 1
      await ask('POST', '/v1/rooms/some-room/end', { dueAt })
    }
  }
  await Promise.all(Array.from({ length: 20 }, client))
  const before = residentMb(curfew.pid)
  while ((await ask('POST', '/v1/endings/cancel', { filter: { requestedBy: 'booking' } }, KEYS.ops)).more);
  isClosed = false
  crowded.came.length = 0
  const began = Date.now()
  await ask('POST', '/v1/notifications/retry', { filter: { caller: 'booking' } }, KEYS.ops)
  const latencies: number[] = []
  let most = before
  while ((await ask('GET', '/status', {})).notifications.pending > 0) {
    const { id } = await ask('POST', '/v1/rooms/other-room/end', { dueAt }, KEYS.desk)
    const count = other.came.length
    const at = Date.now()
    await ask('POST', `/v1/endings/${id}/cancel`, {}, KEYS.ops)
    while (other.came.length === count) await pause(1)
    latencies.push(Date.now() - at)
    most = Math.max(most, residentMb(curfew.pid))
    await pause(50)
  }
  const took = (crowded.came.at(-1) as number) - began
  await curfew.end('SIGTERM')
  for (const one of [crowded, other]) one.close()
  await sandbox.close()
  say(
    `${MANY} to one URL, ${engine}: ${crowded.ids.size} told in ${(took / 1000).toFixed(1)} s, ${Math.round((crowded.came.length / took) * 1000)} a second; resident ${before} MB before, ${most} at most; another URL meanwhile: p50 ${percentile(latencies, 0.5)}, p99 ${percentile(latencies, 0.99)} ms from its change (${latencies.length})`,
  )
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

for (const [name, show] of Object.entries(shows))
  if (wanted.length === 0 || wanted.includes(name)) await show()
await postgres.stop()
rmSync(folder, { recursive: true, force: true })
