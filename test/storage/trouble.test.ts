import { rmSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { StorageError, translated } from '../../src/storage/engine/errors.ts'
import type { Ledger } from '../../src/storage/ledger.ts'
import { ask, end, startCurfew } from '../helper/curfew.ts'
import { freshUrl, onEveryEngine, open } from '../helper/engines.ts'
import { BOOKING, put } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { createDatabase, query, startPostgres } from '../helper/postgres.ts'
import { until } from '../helper/service.ts'
import { isProblem } from '../routes/problems.ts'

onEveryEngine(t, 'a defect is not told as an outage, nor an outage as a defect', async (t, url) => {
  const { db, ledger, close } = await open(t, url, new ManualClock(1000))
  const failing = (work: Promise<unknown>) => translated(work).catch((error: unknown) => error)
  const defect = new TypeError('timeout of undefined')
  t.equal(await failing(Promise.reject(defect)), defect)
  t.equal(await failing(Promise.reject('thrown')), 'thrown')
  const unknown = new Error('what nobody thought of')
  t.equal(await failing(ledger.write(() => Promise.reject(unknown))), unknown)
  const wrong = db
    .selectFrom('endings')
    .select('no_such_column' as 'id')
    .execute()
  t.notMatch(await failing(wrong), { code: 'STORAGE_UNAVAILABLE' })
  const unsupported = Object.assign(new Error('not supported'), { code: '0A000', routine: 'ExecFancy' })
  t.equal(await failing(Promise.reject(unsupported)), unsupported)
  await close()
  t.ok((await failing(ledger.find('x'))) instanceof StorageError, 'a connection that is closed')
})

for (const what of ['removed', 'replaced'] as const)
  t.test(`nothing is accepted into a file that was ${what}`, async (t) => {
    const sandbox = await startSandbox()
    t.teardown(() => sandbox.close())
    const databaseUrl = await freshUrl(t, 'sqlite')
    const file = databaseUrl.slice('file:'.length)
    const curfew = await startCurfew(t, sandbox, databaseUrl)
    const session = sandbox.startSession({ room: sandbox.createRoom().id })
    await end(curfew.url, session.id)
    rmSync(file)
    if (what === 'replaced') writeFileSync(file, '')
    const other = sandbox.startSession({ room: sandbox.createRoom().id })
    isProblem(t, await ask(curfew.url, `/v1/sessions/${other.id}/end`, {}), 503, 'storage-unavailable')
    const ready = await ask(curfew.url, '/readyz')
    t.equal(ready.statusCode, 503)
    t.match(ready.body, /curfew\.db was removed or replaced while it was open/)
  })

const SLEEPS = "select 1 from pg_stat_activity where wait_event = 'PgSleep'"

t.test('a row that somebody keeps locked holds up nobody else for long', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.stop())
  const { url } = await createDatabase(server.url)
  const { ledger } = await open(t, url, new ManualClock(1000))
  const { id } = await put(ledger, { dueAt: 5000 })
  const locked = query(
    url,
    `begin; select 1 from endings where id = '${id}' for update; select pg_sleep(8)`,
  ).catch(() => 'ended below')
  await until(async () => (await query(url, SLEEPS)).length > 0)
  const began = performance.now()
  const [blocked, free] = await Promise.allSettled([ledger.cancel(id, BOOKING), put(ledger, { dueAt: 6000 })])
  t.match(blocked, { status: 'rejected', reason: { code: 'STORAGE_UNAVAILABLE' } })
  t.match(free, { status: 'fulfilled' })
  t.ok(performance.now() - began < 6000, 'two seconds straight, and two more by itself')
  await query(url, 'select pg_cancel_backend(pid) from pg_stat_activity where wait_event = $$PgSleep$$')
  await locked
})

t.test('whoever stops in the middle of a transaction loses it', async (t) => {
  const url = await freshUrl(t, 'postgres')
  const { writes, ledger } = await open(t, url, new ManualClock(1000))
  const { id } = await put(ledger, {})
  const stopped = await writes.startTransaction().execute()
  await stopped.updateTable('endings').set({ reason: 'stopped' }).where('id', '=', id).execute()
  await until(async () => {
    const [found] = await query(
      url,
      `select 1 from pg_stat_activity where state = 'idle in transaction' and datname = current_database()`,
    )
    return !found
  })
  const error = await stopped
    .updateTable('endings')
    .set({ reason: 'again' })
    .execute()
    .catch((error: unknown) => error)
  t.match(await translated(Promise.reject(error)).catch((told: unknown) => told), {
    code: 'STORAGE_UNAVAILABLE',
  })
  await stopped
    .rollback()
    .execute()
    .catch(() => {})
  t.match(await ledger.cancel(id, BOOKING), { ending: { state: 'cancelled', reason: 'requested' } })
})

t.test('two replicas that change the same in opposite orders do not wait for each other', async (t) => {
  const url = await freshUrl(t, 'postgres')
  const one = await open(t, url, new ManualClock(1000))
  const other = await open(t, url, new ManualClock(1000))
  const keys = Array.from({ length: 60 }, (_, i) => `key ${i}`)
  const ids = await Promise.all(keys.map(async (key) => (await put(one.ledger, { key, dueAt: 5000 })).id))
  for (let round = 0; round < 5; round += 1) {
    const replace = (ledger: Ledger) => (key: string) => put(ledger, { key, dueAt: 6000 })
    const replaced = await Promise.all([
      ...keys.map(replace(one.ledger)),
      ...keys.toReversed().map(replace(other.ledger)),
    ])
    t.same(
      replaced.map(({ id }) => id),
      [...ids, ...ids.toReversed()],
      'each in its own place',
    )
  }
  const answers = await Promise.all([
    ...ids.map((id) => one.ledger.cancel(id, BOOKING)),
    ...ids.toReversed().map((id) => other.ledger.cancel(id, BOOKING)),
  ])
  t.equal(answers.filter((answer) => 'ending' in answer).length, ids.length, 'each once')
  const [row] = await query(url, 'select deadlocks from pg_stat_database where datname = current_database()')
  t.match(row, { deadlocks: '0' })
})
