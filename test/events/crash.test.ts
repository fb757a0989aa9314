import { once } from 'node:events'
import { connect } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { seeded } from '../helper/crash.ts'
import { ask, endCalls, startCurfew } from '../helper/curfew.ts'
import { freshUrl } from '../helper/engines.ts'
import type { Process } from '../helper/process.ts'
import { KEYS } from '../helper/service.ts'
import { contents } from './contents.ts'
import { answersOf, BATCHED, type EventAnswer, event, type Fields, STRUCTURED } from './messages.ts'

// Each of them waits for processes to start, so they run beside each other.
t.jobs = 2

async function startScene(t: Test) {
  const sandbox = await startSandbox({ callsPerMinute: 1e9 })
  t.teardown(() => sandbox.close())
  const databaseUrl = await freshUrl(t, 'sqlite')
  const liveSession = () => sandbox.startSession({ room: sandbox.createRoom().id }).id
  const start = () => startCurfew(t, sandbox, databaseUrl, { CALLS_PER_MINUTE: '100000' })
  return { sandbox, databaseUrl, liveSession, start }
}

async function tell({ url }: Process, body: Fields | Fields[]): Promise<EventAnswer[] | undefined> {
  const type = Array.isArray(body) ? BATCHED : STRUCTURED
  const reply = await ask(url, '/v1/events', body, { 'content-type': type })
  return reply.statusCode === 0 ? undefined : answersOf(reply)
}

const kill = (curfew: Process) => {
  curfew.signal('SIGKILL')
  return curfew.exited
}

// Not at every turn: the process that is asked has work to do.
async function nothingPending({ url }: Process): Promise<void> {
  while (JSON.parse((await ask(url, '/status')).body).pending > 0) await pause(25)
}

/** Posts a batch and kills as soon as the ledger's file has it; whether any of an answer had left by then. */
async function killedOnceStored(curfew: Process, databaseUrl: string, batch: Fields[]): Promise<boolean> {
  const { hostname, port } = new URL(curfew.url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  // Paused from the beginning: what is answered waits in the socket.
  socket.pause().on('error', () => undefined)
  const body = JSON.stringify(batch)
  const auth = `Authorization: Bearer ${KEYS.booking}\r\nContent-Type: ${BATCHED}\r\n`
  const head = `POST /v1/events HTTP/1.1\r\nHost: x\r\n${auth}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`
  const reader = new DatabaseSync(databaseUrl.slice('file:'.length), { readOnly: true })
  const row = reader.prepare('select 1 from events where id = ?')
  await new Promise((sent) => socket.write(head + body, sent))
  // In one go: whatever else this process did meanwhile, an answer might overtake.
  const deadline = performance.now() + 10_000
  while (!row.get(batch[0]?.id as string) && performance.now() < deadline);
  const exited = kill(curfew)
  reader.close()
  await exited
  let bytes = 0
  socket.on('data', (chunk) => {
    bytes += chunk.length
  })
  socket.resume()
  if (!socket.destroyed) await once(socket, 'close')
  return bytes > 0
}

const BATCH = 300

t.test('events that were stored and never answered have had their effect', async (t) => {
  const { sandbox, databaseUrl, liveSession, start } = await startScene(t)
  // After a grace, so that no call is on its way at the kill: one call each is all there may be. A large batch has much
  // to log between its commit and its answer.
  const batch = Array.from({ length: BATCH }, (_, i) =>
    event('billing.suspended', {
      account: `a-${i}`,
      targets: [{ sessionId: liveSession() }],
      graceSeconds: 2,
    }),
  )
  const answered = await killedOnceStored(await start(), databaseUrl, batch)
  t.comment(`killed ${answered ? 'when an answer was under way' : 'before any answer'}`)
  const curfew = await start()
  const answers = (await tell(curfew, batch)) ?? []
  t.ok(answers.length === BATCH && answers.every(({ status }) => status === 'duplicate'), 'all are repeats')
  t.equal(new Set(answers.flatMap(({ endings }) => endings)).size, BATCH, 'each says what it did')
  await nothingPending(curfew)
  const { endings, events } = await contents(databaseUrl)
  t.same([events.length, endings.length], [BATCH, BATCH])
  t.ok(endings.every(({ state, outcome }) => state === 'ended' && outcome === 'ended'))
  t.same(sandbox.liveSessions(), [])
  t.same([...endCalls(sandbox).values()], Array(BATCH).fill(1), 'one call each')
})

const KILLS = 7
const CLIENTS = 4

t.test('events that are sent until they are answered each have one effect', async (t) => {
  const seed = Number(process.env.CURFEW_SEED ?? Math.floor(Math.random() * 2 ** 32))
  t.comment(`seed ${seed}`)
  const random = seeded(seed)
  const { sandbox, databaseUrl, liveSession, start } = await startScene(t)
  const bystander = liveSession()
  let running = start()
  let stopped = false
  const answers = new Map<string, EventAnswer>()
  const sent = new Map<string, string>()

  const client = async () => {
    while (!stopped) {
      const sessionId = liveSession()
      const numbered = event('time_limit.reached', { sessionId }, { id: String(sent.size) })
      sent.set(String(sent.size), sessionId)
      for (let answer: EventAnswer | undefined; !answer; ) {
        answer = (await tell(await running, numbered))?.[0]
        if (answer) answers.set(answer.id, answer)
        else await nextTurn()
      }
    }
  }
  const clients = Promise.all(Array.from({ length: CLIENTS }, client))
  for (let kills = 0; kills < KILLS; kills += 1) {
    const curfew = await running
    for (const enough = answers.size + CLIENTS; answers.size < enough; ) await pause(5)
    await pause(random() * 200)
    const exited = kill(curfew)
    // Whoever gets no answer waits for the next process.
    running = exited.then(start)
    await running
  }
  stopped = true
  await clients
  await nothingPending(await running)

  const { endings, events } = await contents(databaseUrl)
  const repeats = [...answers.values()].filter(({ status }) => status === 'duplicate').length
  const calls = endCalls(sandbox)
  const twice = [...calls.values()].filter((count) => count > 1).length
  t.comment(
    `${sent.size} events, ${repeats} stored before a kill and answered after it, ${twice} called twice`,
  )
  t.same(events.map(({ id }) => id).sort(), [...sent.keys()].sort(), 'every event is there')
  t.same(endings.map(({ target_id }) => target_id).sort(), [...sent.values()].sort(), 'one ending each')
  t.ok(endings.every(({ state }) => state === 'ended'))
  const byId = new Map(endings.map(({ id, target_id }) => [id, target_id]))
  const told = [...answers].map(([id, answer]) => [id, byId.get(answer.endings.join())])
  t.same(new Map(told as [string, string][]), sent, 'each was told of its own')
  t.same([...calls.keys()].sort(), [...sent.values()].sort())
  t.same(
    sandbox.liveSessions().map(({ id }) => id),
    [bystander],
  )
})
