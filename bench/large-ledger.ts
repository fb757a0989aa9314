import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../src/clock.ts'
import { openDatabase } from '../src/storage/engine/database.ts'
import { Ledger } from '../src/storage/ledger.ts'
import { TimeLimitStore } from '../src/storage/time-limits/time-limit-store.ts'
import { BUSY_ROOM, fill, idOf } from '../test/helper/fill.ts'
import { createDatabase, startPostgres } from '../test/helper/postgres.ts'
import { KEYS } from '../test/helper/service.ts'
import { median, percentile } from './measure.ts'
import { type Measured, startMeasured } from './process.ts'
import { ask } from './timeliness.ts'

/**
 * What a large ledger costs: `node bench/large-ledger.ts [sqlite|postgres] [finished] [pending] [holds]`. Fills one,
 * times what is asked of it (ms), then how late deadlines are beside lists and pruning.
 */
const engine = process.argv[2] === 'postgres' ? 'postgres' : 'sqlite'
const [finished, pending, holds] = [3, 4, 5].map((i) => Number(process.argv[i] ?? 10_000)) as [
  number,
  number,
  number,
]
const TIMES = 7
const DAY_MS = 24 * 3_600_000

const folder = mkdtempSync(join(tmpdir(), 'curfew-large-'))
const postgres = engine === 'postgres' ? await startPostgres({ durable: true }) : undefined
const url = postgres ? (await createDatabase(postgres.url)).url : `file:${join(folder, 'curfew.db')}`
const now = Date.now()
const began = performance.now()
const database = await openDatabase({ url, clock: systemClock })
await fill(database.db, engine, { finished, pending, holds }, now)
console.log(
  `${engine}, ${finished} finished, ${pending} pending, ${holds} holds and rules; filled in ${Math.round((performance.now() - began) / 1000)} s`,
)

const ledger = new Ledger(database)
const limits = new TimeLimitStore(ledger, database, undefined)
const session = {
  id: 'session-77',
  room_id: null,
  friendly_url: BUSY_ROOM,
  external_id: null,
  started_at: now - 3_600_000,
  seen_at: now,
  over_at: null,
}
const page = Array.from({ length: 100 }, (_, i) => ({
  id: randomUUID(),
  roomId: null,
  friendlyUrl: i % 2 ? `free-${i}` : `ruled-${i}`,
  externalId: null,
  startedAt: now,
}))
const asked: Record<string, () => Promise<unknown>> = {
  'list, newest': () => ledger.page({}, 50),
  'list state=pending': () => ledger.page({ state: 'pending' }, 50),
  'list overdue': () => ledger.page({ state: 'pending', dueBefore: now }, 50),
  'list due within the hour': () => ledger.page({ state: 'pending', dueBefore: now + 3_601_000 }, 50),
  'list state=failed': () => ledger.page({ state: 'failed' }, 50),
  'list reason of nobody (a bounded page)': () => ledger.page({ reason: 'nothing' }, 50),
  'list requestedBy nobody (a bounded page)': () => ledger.page({ requestedBy: 'nobody' }, 50),
  'list by due time (a bounded page)': () => ledger.page({ dueBefore: 0 }, 50),
  'list of a session': () => ledger.page({ session: session.id }, 50),
  'list of a room with 1 %': () => ledger.page({ room: BUSY_ROOM }, 50),
  'the same, pending': () => ledger.page({ room: BUSY_ROOM, state: 'pending' }, 50),
  'view of a session in that room': async () => [
    await limits.pendingFor(session),
    await limits.allFor(session, 100),
  ],
  '/status': () => ledger.backlog(),
  'one ending with its attempts': async () => [
    await ledger.find(idOf(7)),
    await ledger.attempts(idOf(7)),
    await ledger.changes(idOf(7)),
  ],
  'a page of 100 sessions observed': () => limits.observe(page),
  'list of holds': () => limits.listHolds(undefined, 50),
  'claims cleared at the start': () => ledger.clearClaims(),
  'end of a refusal': async () => {
    await ledger.setControl({ name: 'refusal', since: now, until: now + 1, why: '' })
    await ledger.endRefusal()
  },
  'one batch of pruning': () => ledger.prune(now - 79.9 * DAY_MS),
}
for (const [name, work] of Object.entries(asked)) {
  const took: number[] = []
  for (let i = 0; i < TIMES; i += 1) {
    const at = performance.now()
    await work()
    took.push(performance.now() - at)
  }
  console.log(`${name}  |  ${median(took).toFixed(1)}  |  first ${took[0]?.toFixed(1)}`)
}
await database.close()

const upstream = spawn(process.execPath, [fileURLToPath(new URL('./upstream.ts', import.meta.url))])
const far = String((await once(upstream.stdout, 'data'))[0]).trim()
const env = {
  PORT: '0',
  DIGITAL_SAMBA_URL: far,
  DIGITAL_SAMBA_TEAM_ID: 'team',
  DIGITAL_SAMBA_DEVELOPER_KEY: 'developer-key-000',
  API_KEYS: `booking:${KEYS.booking}`,
  // What is measured here is not that bound.
  REQUESTS_PER_MINUTE: '10000000',
  DATABASE_URL: url,
  RETENTION_DAYS: '3650',
  CALLS_PER_MINUTE: '100000',
}
const list = (curfew: Measured) =>
  fetch(`${curfew.url}/v1/endings?reason=nothing&limit=50`, {
    headers: { authorization: `Bearer ${KEYS.booking}` },
  }).then((answer) => answer.arrayBuffer())
await lateness('alone', env)
await lateness('beside two lists a second of a reason that nobody used', env, list)
await lateness('while all that is finished is pruned', { ...env, RETENTION_DAYS: '1' })
upstream.kill('SIGKILL')
await postgres?.stop()
rmSync(folder, { recursive: true, force: true })
process.exit(0)

/** 500 deadlines over ten seconds. */
async function lateness(
  name: string,
  env: Record<string, string>,
  beside?: (curfew: Measured) => Promise<unknown>,
): Promise<void> {
  const curfew = await startMeasured(env)
  for (let i = 0; i < 30; i += 1) await ask(curfew, randomUUID(), {})
  await pause(500)
  await (await fetch(`${far}/times`)).json()
  const begin = Date.now() + 3000
  const due = new Map(Array.from({ length: 500 }, (_, i) => [randomUUID(), begin + i * 20] as const))
  for (const [id, at] of due) await ask(curfew, id, { dueAt: new Date(at).toISOString() })
  const stop = new AbortController()
  const others = (async () => {
    while (beside && !stop.signal.aborted) {
      await beside(curfew)
      await pause(500)
    }
  })()
  await pause(begin + 10_000 + 1500 - Date.now())
  stop.abort()
  await others
  const times = (await (await fetch(`${far}/times`)).json()) as Record<string, number>
  const late = [...due].map(([id, at]) => (times[id] ?? Number.POSITIVE_INFINITY) - at)
  console.log(
    `lateness ${name}  |  p50 ${percentile(late, 0.5).toFixed(1)}, p99 ${percentile(late, 0.99).toFixed(1)}, most ${Math.max(...late).toFixed(1)}`,
  )
  await curfew.end('SIGKILL')
}
