import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { startSandbox } from '../src/sandbox/sandbox.ts'
import { Fleet } from '../test/chaos/fleet.ts'
import { createDatabase, type PostgresServer, query, startPostgres } from '../test/helper/postgres.ts'
import { KEYS } from '../test/helper/service.ts'
import { percentile } from './measure.ts'

/**
 * What several replicas do together, in real time: `npm run replicas -- [budget] ["budget, one killed"] [turns] [failover]
 * [lateness] [throughput] [probes] [rate limit] [rolling] [restarts]`; all of them where none is named. Each prints a line.
 */
const wanted = process.argv.slice(2)
const postgres = await startPostgres({ durable: true })
const MINUTE_MS = 60_000
const MANY = { CALLS_PER_MINUTE: '100000', MAX_CONCURRENT_CALLS: '50' }
const iso = (at: number) => new Date(at).toISOString()

type Options = {
  callsPerMinute?: number
  replicas?: number
  env?: Record<string, string>
  isDirect?: boolean
}

async function stage(
  server: PostgresServer,
  { callsPerMinute = 1e9, replicas = 3, env = MANY, isDirect = false }: Options = {},
) {
  const { url, drop } = await createDatabase(server.url)
  const sandbox = await startSandbox({ callsPerMinute })
  const fleet = await Fleet.start(sandbox, url, replicas, env, [], isDirect)
  const { id: room } = sandbox.createRoom({})
  const live = () => sandbox.startSession({ room }).id
  const close = async () => {
    await fleet.close()
    await sandbox.close()
    await drop()
  }
  const ends = () => sandbox.calls.filter(({ operation }) => operation === 'end')
  return { sandbox, fleet, live, ends, close }
}

type Staged = Awaited<ReturnType<typeof stage>>

/** Asks for `count` ends, many at a time. */
async function askMany(
  { fleet, live }: Staged,
  count: number,
  dueAt: () => number,
): Promise<Map<string, number>> {
  const due = new Map<string, number>()
  const one = async () => {
    while (due.size < count) {
      const [session, at] = [live(), dueAt()]
      due.set(session, at)
      await fleet.ask('POST', `/v1/sessions/${session}/end`, { dueAt: iso(at) })
    }
  }
  await Promise.all(Array.from({ length: 30 }, one))
  return due
}

async function until(is: () => boolean, mostMs: number): Promise<boolean> {
  for (const end = Date.now() + mostMs; Date.now() < end; await pause(10)) if (is()) return true
  return is()
}

const shows: Record<string, () => Promise<string>> = {
  budget: () => budget(false),
  'budget, one killed': () => budget(true),
  turns: async () => {
    const env = { CALLS_PER_MINUTE: '100', URGENT_CALLS_PER_MINUTE: '105' }
    const staged = await stage(postgres, { env })
    const dueAt = Date.now() + 4000
    await askMany(staged, 400, () => dueAt)
    await until(() => staged.ends().length >= 100, 20_000)
    const [urgent, other] = [staged.live(), staged.live()]
    const askedAt = Date.now()
    await staged.fleet.once('POST', `/v1/sessions/${urgent}/end`, { urgent: true }, {}, 'billing')
    await staged.fleet.once('POST', `/v1/sessions/${other}/end`, {}, {}, 'billing')
    const at = (session: string) => staged.ends().find((call) => call.session === session)?.at
    await until(() => at(other) !== undefined, 90_000)
    const between = staged.ends().filter((call) => call.at > askedAt && call.at < (at(other) ?? 0))
    const opened = between.find(({ session }) => session !== urgent)?.at ?? at(other) ?? 0
    await staged.close()
    const urgentMs = (at(urgent) ?? Number.POSITIVE_INFINITY) - askedAt
    const otherMs = (at(other) ?? Number.POSITIVE_INFINITY) - opened
    return `400 of A due and the minute spent: B's urgent one after ${urgentMs} ms, B's other ${otherMs} ms after the budget had a call, behind ${between.length - 1} of A's`
  },
  failover: async () => {
    const lines: string[] = []
    for (const replicas of [3, 1]) {
      const staged = await stage(postgres, { replicas, env: { ...MANY, CALL_TIMEOUT_MS: '5000' } })
      staged.sandbox.inject({ kind: 'delay', delayMs: 200, operation: 'end', carryOut: true, times: 1e9 })
      const due = await askMany(staged, 500, () => Date.now() + 500)
      const killedAt = Date.now()
      const before = new Set(staged.ends().map(({ session }) => session))
      await staged.fleet.down(0, 'SIGKILL')
      if (replicas === 1) await staged.fleet.up(0)
      const isDone = () => new Set(staged.ends().map(({ session }) => session)).size === due.size
      await until(isDone, MINUTE_MS)
      const all = staged.ends()
      const last = Math.max(...all.map(({ at }) => at))
      const twice = all.length - new Set(all.map(({ session }) => session)).size
      lines.push(
        `kill -9 of one of ${replicas}: ${due.size - before.size} not called yet, all called ${last - killedAt} ms after it, ${twice} twice`,
      )
      await staged.close()
    }
    return lines.join('\n')
  },
  lateness: async () => {
    const staged = await stage(postgres, { replicas: Number(process.env.REPLICAS ?? 3), isDirect: true })
    const begin = Date.now() + 6000
    let n = 0
    const due = await askMany(staged, 500, () => begin + n++ * 10)
    await until(() => staged.ends().length >= 500, 30_000)
    const dueOf = (session: string | undefined) => due.get(session as string) as number
    const late = staged.ends().map(({ session, at }) => at - dueOf(session))
    const warm = staged.ends().filter(({ session }) => dueOf(session) >= begin + 500)
    const lateWarm = warm.map(({ session, at }) => at - dueOf(session))
    await staged.close()
    return `500 endings over 5 s on ${process.env.REPLICAS ?? 3} replicas: late p50 ${percentile(late, 0.5)} ms, p99 ${percentile(late, 0.99)} ms; after the first half second, in which they make their first calls ever, p99 ${percentile(lateWarm, 0.99)} ms`
  },
  throughput: async () => {
    const lines: string[] = []
    for (const replicas of [1, 2, 3]) lines.push(await throughput(replicas))
    return lines.join('\n')
  },
  'rate limit': async () => {
    const staged = await stage(postgres)
    const dueAt = Date.now() + 3000
    await askMany(staged, 300, () => dueAt)
    staged.sandbox.inject({ kind: 'status', status: 429, headers: { 'retry-after': '20' }, times: 1 })
    await until(() => staged.sandbox.calls.some(({ status }) => status === 429), 10_000)
    const at = staged.sandbox.calls.find(({ status }) => status === 429)?.at ?? 0
    const done = await until(() => staged.sandbox.liveSessions().length === 0, MINUTE_MS)
    // What was on its way when the answer came had left before anybody could know.
    const early = staged.sandbox.calls.filter((call) => call.at > at + 250 && call.at < at + 20_000).length
    const onTheirWay = staged.sandbox.calls.filter((call) => call.at > at && call.at <= at + 250).length
    await staged.close()
    return `429 with three replicas and 300 due: ${onTheirWay} calls were on their way, ${early} before its 20 s were over; ${done ? 'all were done' : 'NOT all were done'} after it`
  },
  brake: async () => {
    const lines: string[] = []
    for (const replicas of [1, 3])
      for (const missed of ['do', 'cancel'] as const) lines.push(await brake(replicas, missed))
    return lines.join('\n')
  },
  'many at once': async () => {
    const staged = await stage(postgres)
    const begin = Date.now() + 12_000
    let n = 0
    await askMany(staged, 3000, () => begin + n++ * 10)
    await until(() => staged.ends().length > 100, 30_000)
    const askedAt = Date.now()
    // Longer than the fleet's own patience.
    const answer = await fetch(`${staged.fleet.replicas[0]?.curfew?.url}/v1/endings/cancel`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.booking}`, 'content-type': 'application/json' },
      body: JSON.stringify({ filter: { reason: 'requested' } }),
    })
    const body = (await answer.json()) as { changed: number; skipped: number }
    const doneAt = Date.now()
    await pause(begin + 30_000 - Date.now() > 0 ? begin + 32_000 - Date.now() : 2000)
    const before = staged.ends().filter(({ at }) => at < askedAt).length
    const during = staged.ends().filter(({ at }) => at >= askedAt && at <= doneAt).length
    const after = staged.ends().filter(({ at }) => at > doneAt).length
    await staged.close()
    return `3000 coming due over 30 s, taken back by one request in ${doneAt - askedAt} ms: ${before} called before it, ${during} while it went on, ${after} after it; ${body.changed} cancelled, ${body.skipped} skipped`
  },
  restarts: async () => {
    const own = await startPostgres({ durable: true })
    const staged = await stage(own)
    let isOn = true
    let accepted = 0
    const clients = Array.from({ length: 10 }, async () => {
      while (isOn) {
        const { status } = await staged.fleet.ask('POST', `/v1/sessions/${staged.live()}/end`, {})
        if (status === 202) accepted += 1
        await pause(20)
      }
    })
    const backAfter: number[] = []
    let turns = 0
    for (let i = 0; i < 30; i += 1) {
      let isWatched = true
      const said = watchReadiness(staged, () => isWatched)
      await pause(700)
      await own.restart()
      const upAt = Date.now()
      await until(() => staged.ends().some(({ at }) => at > upAt), 20_000)
      backAfter.push((staged.ends().find(({ at }) => at > upAt)?.at ?? Number.POSITIVE_INFINITY) - upAt)
      await pause(700)
      isWatched = false
      const seen = (await said).join(' ')
      if (/^green red .*green$/.test(seen)) turns += 1
      process.stderr.write(`${seen} ${backAfter.at(-1)}\n`)
    }
    isOn = false
    await Promise.all(clients)
    const done = await until(() => staged.sandbox.liveSessions().length === 0, 30_000)
    const twice = staged.ends().length - new Set(staged.ends().map(({ session }) => session)).size
    await staged.close()
    await own.stop()
    return `30 restarts of PostgreSQL under load: ${accepted} accepted, ${done ? 'all' : 'NOT all'} done, ${twice} called twice; ready, not ready and ready again in ${turns} of 30; first call after it is back: median ${percentile(backAfter, 0.5)} ms, most ${Math.max(...backAfter)} ms`
  },
  probes: async () => {
    const staged = await stage(postgres)
    staged.sandbox.setCredentials({ developerKey: 'rotated' })
    const dueAt = Date.now() + 3000
    await askMany(staged, 300, () => dueAt)
    await pause(dueAt + 5000 - Date.now())
    const before = staged.sandbox.calls.length
    await pause(3 * MINUTE_MS)
    const probes = staged.sandbox.calls.length - before
    staged.sandbox.setCredentials({ developerKey: 'sandbox-developer-key' })
    const done = await until(() => staged.sandbox.liveSessions().length === 0, 70_000)
    await staged.close()
    return `401 with three replicas and 300 due: ${before} calls until all knew, ${probes} in the next three minutes; after it ${done ? 'all were done' : 'NOT all were done'}`
  },
  rolling: async () => {
    const staged = await stage(postgres, { env: { ...MANY, DRAIN_DELAY: '1s' } })
    let [failed, accepted] = [0, 0]
    let isOn = true
    const asking = (async () => {
      const running: Promise<void>[] = []
      while (isOn) {
        running.push(
          staged.fleet.ask('POST', `/v1/sessions/${staged.live()}/end`, {}).then(({ status }) => {
            if (status === 202) accepted += 1
            else failed += 1
          }),
        )
        await pause(10)
      }
      await Promise.all(running)
    })()
    for (const i of [0, 1, 2]) {
      await pause(2000)
      await staged.fleet.down(i, 'SIGTERM')
      await staged.fleet.up(i)
    }
    isOn = false
    await asking
    await until(() => staged.sandbox.liveSessions().length === 0, 30_000)
    const answer = await staged.fleet.ask('GET', '/v1/endings?limit=200')
    const burned = answer.body.data.filter((one: { attempt: number }) => one.attempt > 1).length
    const twice = staged.ends().length - new Set(staged.ends().map(({ session }) => session)).size
    const left = staged.sandbox.liveSessions().length
    await staged.close()
    return `rolling restart under 100 requests a second: ${accepted} accepted, ${failed} failed, ${left} left, ${twice} called twice, ${burned} attempts burned of the last 200`
  },
}

/** 300 coming due over three seconds, and everything paused in the middle. */
async function brake(replicas: number, missed: 'do' | 'cancel'): Promise<string> {
  const staged = await stage(postgres, { replicas })
  staged.sandbox.inject({ kind: 'delay', delayMs: 100, operation: 'end', carryOut: true, times: 1e9 })
  const begin = Date.now() + 4000
  let n = 0
  await askMany(staged, 300, () => begin + n++ * 10)
  await pause(begin + 1500 - Date.now())
  const askedAt = Date.now()
  await staged.fleet.once('POST', '/v1/pause', { reason: 'a try' }, {}, 'ops')
  const pausedAt = Date.now()
  await pause(5000)
  const [before, late] = [staged.ends().length, staged.ends().filter(({ at }) => at > pausedAt).length]
  const answer = await staged.fleet.once('POST', '/v1/resume', { missed }, {}, 'ops')
  await until(() => staged.sandbox.liveSessions().length === 0, missed === 'do' ? 20_000 : 3000)
  const left = staged.sandbox.liveSessions().length
  const twice = staged.ends().length - new Set(staged.ends().map(({ session }) => session)).size
  await staged.close()
  return `${replicas} replicas, 300 coming due: paused in ${pausedAt - askedAt} ms after ${before} calls, ${late} left afterwards; resumed with ${missed}: ${answer?.body.cancelled} cancelled, ${left} live, ${twice} called twice`
}

/** Whoever is asked is one of the replicas, and what it says is kept: how often it was ready and was not, in turn. */
async function watchReadiness({ fleet }: Staged, isOn: () => boolean): Promise<string[]> {
  const said: string[] = []
  while (isOn()) {
    const answer = await fleet.once('GET', '/readyz')
    const now = answer?.status === 200 ? 'green' : 'red'
    if (said.at(-1) !== now) said.push(now)
    await pause(15)
  }
  return said
}

/** The processor time (ms) that a PostgreSQL has taken, with all the processes that it has had. */
function processorTimeOf(postmaster: number): number {
  const ticks = (pid: string | number, from: number, to: number) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return { parent: Number(fields[1]), used: fields.slice(from, to).reduce((sum, n) => sum + Number(n), 0) }
  }
  // utime and stime, and of those that have ended cutime and cstime; in hundredths of a second.
  let used = ticks(postmaster, 11, 15).used
  for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)))
    try {
      const one = ticks(pid, 11, 13)
      if (one.parent === postmaster) used += one.used
    } catch {
      // It has ended between the two looks.
    }
  return used * 10
}

/** 100 clients of `replicas` for eight seconds; what is accepted, what is called, and what PostgreSQL takes of it. */
async function throughput(replicas: number): Promise<string> {
  const staged = await stage(postgres, { replicas, isDirect: true })
  const [row] = await query(
    postgres.url,
    `select split_part(pg_read_file('postmaster.pid'), E'\\n', 1) as pid`,
  )
  const postmaster = Number((row as { pid: string }).pid)
  const seconds = 8
  const end = Date.now() + 1000 * seconds
  const usedBefore = processorTimeOf(postmaster)
  let accepted = 0
  const one = async () => {
    while (Date.now() < end) {
      const answer = await staged.fleet.ask('POST', `/v1/sessions/${staged.live()}/end`, {})
      if (answer.status === 202) accepted += 1
    }
  }
  await Promise.all(Array.from({ length: 100 }, one))
  const called = staged.ends().length
  const used = processorTimeOf(postmaster) - usedBefore
  await staged.close()
  return `${replicas} replicas: ${Math.round(accepted / seconds)} accepted and ${Math.round(called / seconds)} called a second, PostgreSQL takes ${(used / accepted).toFixed(2)} ms of processor for each`
}

/** 3000 due at one moment, 1000 calls in each fixed minute. */
async function budget(isKilled: boolean): Promise<string> {
  const env = { CALLS_PER_MINUTE: '1000', URGENT_CALLS_PER_MINUTE: '1000', MAX_CONCURRENT_CALLS: '20' }
  const staged = await stage(postgres, { callsPerMinute: 1000, env })
  const dueAt = Date.now() + 20_000
  await askMany(staged, 3000, () => dueAt)
  await pause(Math.max(dueAt - Date.now(), 0))
  if (isKilled) {
    // While all wait for the next minute: what a replica has in its hands when it dies counts as made.
    await until(() => staged.ends().length >= 1000, 100_000)
    await pause(10_000)
    await staged.fleet.down(0, 'SIGKILL')
    await staged.fleet.up(0)
  }
  await until(() => staged.sandbox.liveSessions().length === 0, 4 * MINUTE_MS)
  const calls = staged.ends()
  const first = Math.min(...calls.map(({ at }) => at))
  const took = Math.max(...calls.map(({ at }) => at)) - first
  const refused = staged.sandbox.calls.filter(({ status }) => status === 429).length
  const left = staged.sandbox.liveSessions().length
  await staged.close()
  return `3000 due at once, 1000 a minute${isKilled ? ', one replica killed' : ''}: ${(took / 1000).toFixed(1)} s of least 120, ${refused} answered 429 of ${calls.length}, ${left} left`
}

for (const [name, show] of Object.entries(shows))
  if (wanted.length === 0 || wanted.includes(name)) process.stdout.write(`${name}: ${await show()}\n`)
await postgres.stop()
process.exit(0)
