import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import { createDatabase } from '../test/helper/postgres.ts'
import { KEYS } from '../test/helper/service.ts'
import { median, percentile, type Row, residentMb } from './measure.ts'
import { type Measured, startMeasured } from './process.ts'

const SECONDS = Number(process.env.BENCH_SECONDS ?? 4)
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3)
const CONNECTIONS = [1, 10, 100] as const
const CONFIRMED_AFTER_MS = 6000
const UPSTREAM = fileURLToPath(new URL('./upstream.ts', import.meta.url))
const PEER = fileURLToPath(new URL('./peer.ts', import.meta.url))
const headers = { authorization: `Bearer ${KEYS.booking}`, 'content-type': 'application/json' }

/** One service under load; `name` is what the table calls it. */
interface Contender {
  name: string
  env: Record<string, string>
  /** the program; Curfew itself where it is absent */
  server?: string
}

type Maker = () => Promise<Contender>

const base = (url: string) => ({
  PORT: '0',
  DIGITAL_SAMBA_TEAM_ID: 'team',
  DIGITAL_SAMBA_DEVELOPER_KEY: 'developer-key-000',
  API_KEYS: `booking:${KEYS.booking}`,
  // What is measured here is not that bound.
  REQUESTS_PER_MINUTE: '10000000',
  DATABASE_URL: url,
  CALLS_PER_MINUTE: '100000',
  MAX_CONCURRENT_CALLS: '100',
})

/**
 * The service that keeps nothing, the one that keeps the least that can be kept, then Curfew on either engine, each with
 * another version of it where one is named.
 */
export function contenders(folder: string, postgresUrl: string, other?: string): Maker[] {
  const sqlite = (name: string, server?: string) => async (): Promise<Contender> => ({
    name,
    env: base(`file:${join(folder, name.replaceAll(' ', '-'))}/curfew.db`),
    ...(server ? { server } : {}),
  })
  const onPostgres = (name: string, server?: string) => async (): Promise<Contender> => ({
    name,
    env: base((await createDatabase(postgresUrl)).url),
    ...(server ? { server } : {}),
  })
  return [
    async () => ({ name: 'in memory', env: {}, server: PEER }),
    async () => ({
      name: 'one row on the disk',
      env: { PEER_LEDGER: join(folder, 'peer.db') },
      server: PEER,
    }),
    sqlite('SQLite'),
    ...(other ? [sqlite('SQLite before', other)] : []),
    onPostgres('PostgreSQL'),
    ...(other ? [onPostgres('PostgreSQL before', other)] : []),
  ]
}

const BARS: Record<string, { accepted?: string; ends: string; cpu?: string; late: string }> = {
  SQLite: { accepted: '0.4 / 0.7 / 1.9', ends: '0.9', cpu: '2.5', late: 'p50 1.5, p99 4 ms' },
  PostgreSQL: { ends: '0.45', late: 'p50 3, p99 8 ms' },
}

interface Figures {
  accepted: number
  ends: number
  cpuMs: number
}

/**
 * Accepted requests, each with its end call, while both go on: turn by turn in one run, so that what the machine does
 * meanwhile is everybody's. Each request is for a session of its own, due now.
 */
export async function carrying(makers: Maker[]): Promise<Row[]> {
  const upstream = spawn(process.execPath, [UPSTREAM])
  const [printed] = await once(upstream.stdout, 'data')
  const url = String(printed).trim()
  const contenders = await Promise.all(makers.map((make) => make()))
  const running = []
  for (const { name, env, server } of contenders)
    running.push({ name, curfew: await startMeasured({ ...env, DIGITAL_SAMBA_URL: url }, undefined, server) })
  const figures = new Map<string, Figures[]>()
  const late = new Map<string, number[]>()
  for (const { curfew } of running) await load(curfew, url, 10, 1)
  for (let round = 0; round < ROUNDS; round += 1) {
    // What the turns before have left to be confirmed would be counted as what one ending costs.
    await Promise.all(running.map(({ curfew }) => untilQuiet(curfew)))
    for (const { name, curfew } of running)
      late.set(name, [...(late.get(name) ?? []), ...(await acceptToCall(curfew, url))])
    for (const connections of CONNECTIONS)
      for (const { name, curfew } of running) {
        const key = `${name} ${connections}`
        const one = await load(curfew, url, connections, SECONDS)
        figures.set(key, [...(figures.get(key) ?? []), one])
      }
  }
  const rows = tabulate(
    running.map(({ name }) => name),
    figures,
    late,
  )
  for (const { name, curfew } of running) {
    rows.push([`resident after load, ${name}`, `${residentMb(curfew.pid)} MB`, ''])
    await curfew.end('SIGKILL')
  }
  upstream.kill('SIGKILL')
  return rows
}

function tabulate(names: string[], figures: Map<string, Figures[]>, late: Map<string, number[]>): Row[] {
  const of = (name: string, connections: number, which: keyof Figures) =>
    median((figures.get(`${name} ${connections}`) ?? []).map((one) => one[which]))
  const ratio = (value: number, other: number) => (value / other).toFixed(2)
  const [memory] = names as [string]
  const rows: Row[] = []
  for (const name of names) {
    const accepted = CONNECTIONS.map((connections) => {
      const rate = of(name, connections, 'accepted')
      return `${Math.round(rate)} (${ratio(rate, of(memory, connections, 'accepted'))})`
    })
    const bars = BARS[name]
    rows.push([
      `accepted a second while calls go on, ${name}, 1 / 10 / 100`,
      accepted.join(' / '),
      bars?.accepted ?? '',
    ])
    const ends = of(name, 100, 'ends')
    rows.push([
      `ends called a second at 100, ${name}`,
      `${Math.round(ends)} (${ratio(ends, of(memory, 100, 'ends'))})`,
      bars?.ends ?? '',
    ])
    const cpu = of(name, 1, 'cpuMs')
    rows.push([
      `CPU for one ending at 1 connection, ${name}`,
      `${cpu.toFixed(2)} ms (${ratio(cpu, of(memory, 1, 'cpuMs'))})`,
      bars?.cpu ?? '',
    ])
    const times = late.get(name) ?? []
    const [p50, p99] = [percentile(times, 0.5), percentile(times, 0.99)]
    rows.push([
      `accept to call at 50 a second, ${name}`,
      `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
      bars?.late ?? '',
    ])
  }
  return rows
}

async function load(curfew: Measured, upstream: string, connections: number, seconds: number) {
  const before = { cpu: cpuMs(curfew.pid), ends: await asked(upstream, '/counted') }
  const began = performance.now()
  const result = await autocannon({
    url: curfew.url,
    connections,
    duration: seconds,
    requests: [
      {
        method: 'POST',
        headers: curfew.isPeer ? {} : headers,
        setupRequest: (request) => ({
          ...request,
          path: `/v1/sessions/${randomUUID()}/end`,
          ...(curfew.isPeer ? {} : { body: '{}' }),
        }),
      },
    ],
  })
  const took = (performance.now() - began) / 1000
  const during = (await asked(upstream, '/counted')) - before.ends
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${result.non2xx} not accepted, ${result.errors} errors`)
  // What is still to be called belongs to this turn.
  for (let last = -1, now = during; now !== last; ) {
    last = now
    await pause(300)
    now = (await asked(upstream, '/counted')) - before.ends
  }
  const ends = (await asked(upstream, '/counted')) - before.ends
  return {
    accepted: result['2xx'] / result.duration,
    ends: during / took,
    cpuMs: (cpuMs(curfew.pid) - before.cpu) / ends,
  }
}

/** From sending a request to the arrival of its call (ms), 50 a second for two seconds. */
async function acceptToCall(curfew: Measured, upstream: string): Promise<number[]> {
  await asked(upstream, '/times')
  const sent = new Map<string, number>()
  const agent = new http.Agent({ keepAlive: true })
  for (let i = 0; i < 100; i += 1) {
    const session = randomUUID()
    sent.set(session, performance.timeOrigin + performance.now())
    const body = curfew.isPeer ? '' : '{}'
    http
      .request(`${curfew.url}/v1/sessions/${session}/end`, {
        method: 'POST',
        agent,
        headers: curfew.isPeer ? {} : headers,
      })
      .on('response', (response) => response.resume())
      .end(body)
    await pause(20)
  }
  await pause(500)
  const times = (await asked(upstream, '/times')) as unknown as Record<string, number>
  agent.destroy()
  return [...sent].map(([session, at]) => (times[session] as number) - at)
}

async function asked(upstream: string, path: string): Promise<number> {
  return (await fetch(upstream + path)).json() as Promise<number>
}

/** Confirmations begin five seconds after their ends. */
async function untilQuiet({ pid }: Measured): Promise<void> {
  await pause(CONFIRMED_AFTER_MS)
  for (let before = -1, now = cpuMs(pid); now - before > 20; now = cpuMs(pid)) {
    before = now
    await pause(1000)
  }
}

// Linux counts in hundredths of a second.
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}
