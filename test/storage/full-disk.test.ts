import t, { type Test } from 'tap'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { startCallers } from '../helper/callers.ts'
import { ask, end, endCalls, endingsIn, nothingOverdue, startCurfew } from '../helper/curfew.ts'
import { limited, small } from '../helper/full-disk.ts'
import { until } from '../helper/service.ts'
import { isProblem } from '../routes/problems.ts'

async function startBusy(t: Test, disk: typeof limited) {
  const sandbox = await startSandbox({ callsPerMinute: 1e9 })
  t.teardown(() => sandbox.close())
  const onDisk = await disk.start(t, sandbox)
  const callers = startCallers(sandbox, onDisk.curfew.url, 4)
  t.teardown(() => callers.stop())
  await until(() => callers.accepted.size >= 20)
  return { sandbox, callers, ...onDisk }
}

/** Asks again until it is answered with that status: the service knows for up to a second what it last found out. */
const answers = (url: string, path: string, status: number) =>
  until(async () => {
    const reply = await ask(url, path)
    return reply.statusCode === status && reply
  })

/** The states of endings as the service tells them, or the status of what it answered instead. */
async function statesOf(url: string, ids: Iterable<string>): Promise<[id: string, state: string | number][]> {
  const states: [string, string | number][] = []
  for (const id of ids) {
    const { statusCode, body } = await ask(url, `/v1/endings/${id}`)
    states.push([id, statusCode === 200 ? JSON.parse(body).state : statusCode])
  }
  return states
}

for (const [name, disk] of Object.entries({ 'whose file may not grow': limited, 'that is full': small }))
  t.test(`a disk ${name}: what is accepted is kept, all else refused`, { skip: disk.missing }, async (t) => {
    const { sandbox, callers, curfew, fill, free } = await startBusy(t, disk)
    // Its session is ended while nothing can be written down.
    const { id: session } = sandbox.startSession({ room: sandbox.createRoom().id })
    sandbox.inject({ kind: 'delay', session, delayMs: 300 })
    const underway = await end(curfew.url, session)
    await sandbox.waitForCalls((calls) => calls.some((call) => call.session === session))
    fill()
    await until(() => callers.refused.length >= 20)
    isProblem(t, await answers(curfew.url, '/readyz', 503), 503, 'storage-unavailable')
    t.match(JSON.parse((await ask(curfew.url, '/status')).body), { accepting: false })
    t.equal((await ask(curfew.url, '/healthz')).statusCode, 200)
    t.equal((await ask(curfew.url, `/v1/endings/${underway}`)).statusCode, 200, 'it can still be read')
    await until(() => sandbox.session(session)?.live === false)
    for (const [id, state] of await statesOf(curfew.url, callers.accepted.keys()))
      if (state !== 'ended' && state !== 'pending') t.fail(`${id} is lost: ${state}`)

    const refused = callers.refused.slice()
    free()
    const enough = callers.accepted.size + 20
    await until(() => callers.accepted.size >= enough)
    await answers(curfew.url, '/readyz', 200)
    await callers.stop()
    await nothingOverdue(curfew.url)
    isProblem(t, refused[0] as (typeof refused)[0], 503, 'storage-unavailable')
    for (const { statusCode, headers } of callers.refused)
      if (statusCode !== 503 || headers['retry-after'] !== '1') t.fail(`${statusCode} while it is full`)
    for (const [id, state] of await statesOf(curfew.url, [underway, ...callers.accepted.keys()]))
      if (state !== 'ended') t.fail(`${id} is ${state}`)
    for (const [session, calls] of endCalls(sandbox)) if (calls > 1) t.fail(`${session} is called twice`)
    t.equal(callers.unanswered, 0)
    curfew.signal('SIGTERM')
    t.equal(await curfew.exited, 0)
  })

t.test(
  'killed while its disk is full, it has kept what it accepted',
  { skip: limited.missing },
  async (t) => {
    const { sandbox, callers, curfew, databaseUrl, fill } = await startBusy(t, limited)
    fill()
    await until(() => callers.refused.length >= 20)
    curfew.signal('SIGKILL')
    await Promise.all([curfew.exited, callers.stop()])
    const next = await startCurfew(t, sandbox, databaseUrl)
    await nothingOverdue(next.url)
    const after = await endingsIn(databaseUrl)
    for (const id of callers.accepted.keys())
      if (after.get(id)?.state !== 'ended') t.fail(`${id} is not ended`)
    for (const session of callers.accepted.values())
      if (sandbox.session(session)?.live) t.fail(`${session} is live`)
  },
)
