import { randomBytes, randomUUID } from 'node:crypto'
import { METHODS } from 'node:http'
import { sql } from 'kysely'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { handlers } from '../../src/events/registry.ts'
import type { Db } from '../../src/storage/schema.ts'
import { freshUrl, open } from '../helper/engines.ts'
import { startService } from '../helper/service.ts'
import { startScene } from '../routes/scene.ts'
import { scrape } from './reading.ts'

const REQUESTS = 10_000
const pick = <T>(from: readonly T[]): T => from[Math.floor(Math.random() * from.length)] as T
const word = () => randomBytes(6).toString('base64url')
const PATHS = [
  () => `/${word()}`,
  () => `/${word()}/${word()}?${word()}=${word()}`,
  () => `/v1/endings/${randomUUID()}`,
  () => `/v1/endings/${word()}`,
  () => `/v1/sessions/${randomUUID()}/end`,
  () => `/v1/rooms/${word()}/end`,
  () => `/v1/time-limits/${word()}`,
  () => `/v1/endings?requestedBy=${word()}&reason=${word()}`,
  () => '/v1/events',
  () => '/metrics',
  () => '/status',
  () => '/v1/webhooks/digital-samba',
  () => `/%${word()}`,
]

t.test(`${REQUESTS} requests with paths, ids, headers and methods that nobody could foresee`, async (t) => {
  const scene = await startScene(t, {
    env: { EVENT_SECRETS: `crm:whsec_${Buffer.alloc(32, 1).toString('base64')}` },
  })
  const event = () => ({
    specversion: '1.0',
    id: word(),
    source: `/${word()}`,
    type: `${word()}.${word()}`,
    data: {},
  })
  const send = async () => {
    const headers = {
      [`x-${word()}`.toLowerCase().replaceAll('_', 'a')]: word(),
      'user-agent': word(),
      'x-request-id': word(),
      'idempotency-key': word(),
      ...(Math.random() < 0.2 ? { authorization: `Bearer ${word()}` } : {}),
    }
    const isEvent = Math.random() < 0.2
    // Far ahead, so that no call is made for what is accepted.
    const body = isEvent ? event() : { reason: word(), key: word(), dueAt: scene.at(3_600_000) }
    const method = isEvent ? 'POST' : pick(METHODS.filter((name) => name !== 'CONNECT'))
    const url = isEvent ? '/v1/events' : pick(PATHS)()
    const hasBody = ['POST', 'PUT', 'PATCH'].includes(method)
    const as = pick(['booking', 'billing', 'ops', null] as const)
    return (await scene.request(method, url, { as, headers, ...(hasBody ? { body } : {}) })).statusCode
  }
  const statuses = new Map<number, number>()
  let half = 0
  for (let i = 0; i < REQUESTS; i += 50) {
    for (const status of await Promise.all(Array.from({ length: 50 }, send)))
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    if (i === REQUESTS / 2) half = (await scrape(scene)).size
  }
  t.comment(Object.fromEntries(statuses))
  t.notOk(statuses.has(500))
  const read = await scrape(scene)
  t.comment(`${read.size} series, ${half} after half of them`)
  t.ok(read.size < 6000, `${read.size} series`)
  t.ok(read.size - half < half * 0.1, 'and they have all but stopped to become more')
  const labels = (name: string) =>
    [
      ...new Set(
        [...read.keys()].flatMap((series) => new RegExp(`[{,]${name}="([^"]*)"`).exec(series)?.[1] ?? []),
      ),
    ].sort()
  t.same(labels('requested_by'), ['billing', 'booking', 'crm', 'curfew', 'desk', 'ops', 'other'])
  const known = [...read.keys()].filter((series) => series.startsWith('curfew_events_total'))
  t.equal(known.length, handlers.size + 1, 'known types, and one for all others')
  t.ok(labels('method').length <= 8)
  for (const route of labels('route')) t.match(route, /^(unknown|\/[a-z0-9/:.*-]*)$/i)
  t.match(labels('route'), ['/metrics', '/readyz', '/status'])
})

const ROWS = 1_000_000
const PENDING = ROWS / 20
const MOST_MS = 50

t.test(`within ${MOST_MS} ms beside a million rows`, async (t) => {
  const databaseUrl = await freshUrl(t, 'sqlite')
  const { db, close } = await open(t, databaseUrl, systemClock)
  await fillEndings(db, systemClock.now())
  await close()
  const service = await startService(t, { databaseUrl })
  const took: number[] = []
  for (let i = 0; i < 6; i += 1) {
    const began = performance.now()
    const read = await scrape(service)
    took.push(Math.round(performance.now() - began))
    t.equal(read.get('curfew_endings_pending'), PENDING)
    // Until the database is looked into again.
    await systemClock.sleep(1001)
  }
  t.comment(`${took.join(', ')} ms`)
  // The first one starts what tells of the process; and the machine may be busy with something else.
  t.ok(Math.min(...took.slice(1)) <= MOST_MS)
})

/** One in twenty is pending, the others are over. */
async function fillEndings(db: Db, now: number): Promise<void> {
  await sql`insert into endings (id, state, target_kind, target_id, reason, requested_by, urgent, due_at, next_attempt_at,
      attempt, claim, retry_base, outcome, created_at, finished_at, confirmed_at, metadata, reopened)
    with recursive n(i) as (select 1 union all select i + 1 from n where i < ${sql.lit(ROWS)})
    select printf('01900000-0000-7000-8000-%012x', i), case when i % 20 = 0 then 'pending' else 'ended' end, 'session',
      'session-' || i, 'booking_over', 'booking', 0, ${now} + case when i % 20 = 0 then 86400000 else 0 end,
      ${now} + case when i % 20 = 0 then 86400000 else 0 end, 1, 1, 0, case when i % 20 = 0 then null else 'ended' end,
      ${now}, case when i % 20 = 0 then null else ${now} end, case when i % 20 = 0 then null else ${now} end, '{}', 0
    from n`.execute(db)
}
