import t, { type Test } from 'tap'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { startCallers } from '../helper/callers.ts'
import { ask, endCalls, endingsIn, nothingOverdue, startCurfew } from '../helper/curfew.ts'
import { createDatabase, query, startPostgres } from '../helper/postgres.ts'
import { until } from '../helper/service.ts'
import { isProblem } from '../routes/problems.ts'

// Durable, because what is asserted is that nothing is lost when it goes down.
const server = await startPostgres({ durable: true })
t.teardown(() => server.stop())

async function startBusy(t: Test) {
  const sandbox = await startSandbox({ callsPerMinute: 1e9 })
  t.teardown(() => sandbox.close())
  const { url: databaseUrl } = await createDatabase(server.url)
  const curfew = await startCurfew(t, sandbox, databaseUrl, { CALLS_PER_MINUTE: '100000' })
  const room = sandbox.createRoom().id
  const bystanders = Array.from({ length: 20 }, () => sandbox.startSession({ room }))
  const callers = startCallers(sandbox, curfew.url, 8)
  t.teardown(() => callers.stop())
  const more = (count: number) => {
    const enough = callers.accepted.size + count
    return until(() => callers.accepted.size >= enough)
  }
  await more(50)
  return { sandbox, databaseUrl, curfew, callers, bystanders, more }
}

type Busy = Awaited<ReturnType<typeof startBusy>>

/** Lets the callers go home and the service finish, and looks what became of everything that was accepted. */
async function settled(t: Test, { sandbox, databaseUrl, curfew, callers, bystanders }: Busy): Promise<void> {
  await callers.stop()
  await nothingOverdue(curfew.url)
  t.equal((await ask(curfew.url, '/readyz')).statusCode, 200)
  const endings = await endingsIn(databaseUrl)
  for (const [id, session] of callers.accepted) {
    if (endings.get(id)?.state !== 'ended') t.fail(`${id} is ${endings.get(id)?.state ?? 'lost'}`)
    if (sandbox.session(session)?.live) t.fail(`${session} is live`)
  }
  t.equal(callers.unanswered, 0, 'everybody is answered')
  for (const { statusCode, headers, body } of callers.refused)
    if (statusCode !== 503 || !headers['retry-after']) t.fail(`${statusCode} ${body}`)
  t.same(
    bystanders.filter(({ live }) => !live),
    [],
  )
  for (const session of endCalls(sandbox).keys())
    if (!callers.asked.has(session)) t.fail(`${session} is ended`)
  curfew.signal('SIGTERM')
  t.equal(await curfew.exited, 0, 'it was never started again')
}

t.test('PostgreSQL is restarted under load', async (t) => {
  const busy = await startBusy(t)
  const { curfew, callers, more } = busy
  await server.restart()
  await more(50)
  t.ok(callers.refused.length > 0)
  isProblem(t, callers.refused[0] as (typeof callers.refused)[0], 503, 'storage-unavailable')
  t.equal((await ask(curfew.url, '/healthz')).statusCode, 200)
  await settled(t, busy)
})

t.test('all connections to PostgreSQL are broken again and again', async (t) => {
  const busy = await startBusy(t)
  for (let round = 0; round < 20; round += 1) {
    await query(
      busy.databaseUrl,
      `select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'curfew' and datname = current_database()`,
    )
    await busy.more(5)
  }
  await settled(t, busy)
})
