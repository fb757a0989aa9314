import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { systemClock } from '../../src/clock.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { openDatabase } from '../../src/storage/engine/database.ts'
import type { EndingRow } from '../../src/storage/schema.ts'
import { startProcess } from '../helper/process.ts'
import { startReceiver, tells } from '../helper/receiver.ts'
import { environment, KEYS } from '../helper/service.ts'

export interface ToldReport {
  kills: number
  /** what became of endings, by what was to be told of it */
  happened: Record<string, number>
  /** transitions that nobody was told of */
  untold: number
  /** what was told of what did not happen, or of nobody's ending */
  invented: number
  /** repeats that were not word for word the same */
  changed: number
  /** signatures that did not verify */
  forged: number
  /** notifications that came again after they had been answered 2xx */
  toldTwice: number
  requests: number
}

const CLIENTS = 6
const WITHIN_MS = 60_000
const CONFIRMED_WITHIN_MS = 7_000

/**
 * Kills a real Curfew `kills` times at random moments under load, with a receiver that fails one time in five, and then
 * holds what it was told against what became of every ending.
 */
export async function toldAfterKills(
  databaseUrl: string,
  kills: number,
  random: () => number,
): Promise<ToldReport> {
  const sandbox = await startSandbox({ callsPerMinute: 1e9 })
  const teardowns: Array<() => unknown> = []
  const receiver = await startReceiver({ teardown: (done: () => unknown) => teardowns.push(done) } as never)
  const told = new Set<string>()
  let toldTwice = 0
  let isWell = false
  receiver.answer = ({ id }, response, request) => {
    if (told.has(id)) toldTwice += 1
    if (isWell || random() >= 0.2) {
      told.add(id)
      return void response.writeHead(204).end()
    }
    if (random() < 0.5) return void response.writeHead(500).end('broken')
    request.socket.destroy()
  }
  const env = environment(sandbox, databaseUrl, {
    CALLS_PER_MINUTE: '100000',
    ...tells({ booking: receiver }),
  })
  const room = sandbox.createRoom({}).id
  const ids: string[] = []

  for (let kill = 0; kill < kills; kill += 1) {
    const curfew = await startProcess(env)
    let isAlive = true
    const client = async () => {
      while (isAlive) {
        const id = await act(curfew.url, sandbox.startSession({ room }).id, random)
        if (id) ids.push(id)
      }
    }
    const clients = Array.from({ length: CLIENTS }, client)
    for (const enough = ids.length + 20; ids.length < enough; ) await pause(5)
    await pause(random() * 400)
    isAlive = false
    curfew.signal('SIGKILL')
    await Promise.all([curfew.exited, ...clients])
  }

  isWell = true
  const last = await startProcess(env)
  await settled(last.url)
  last.signal('SIGTERM')
  await last.exited
  for (const done of teardowns) await done()
  await sandbox.close()
  const ledger = await read(databaseUrl)
  return { kills, ...judged(ledger, receiver.received), forged: receiver.faults.length, toldTwice }
}

interface Read {
  endings: Array<Pick<EndingRow, 'id' | 'state' | 'confirmed_at'>>
  /** what nobody has been told yet, as `ID TYPE` */
  waiting: Set<string>
}

/** What the ledger holds, once nobody writes to it any more. */
async function read(url: string): Promise<Read> {
  const { db, close } = await openDatabase({ url, clock: systemClock })
  const endings = await db.selectFrom('endings').select(['id', 'state', 'confirmed_at']).execute()
  const rows = await db.selectFrom('notifications').selectAll().where('state', '=', 'pending').execute()
  await close()
  return { endings, waiting: new Set(rows.map(({ ending_id, type }) => `${ending_id} ${type}`)) }
}

function judged({ endings, waiting }: Read, received: Awaited<ReturnType<typeof startReceiver>>['received']) {
  const expected = new Map<string, Set<string>>()
  const happened: Record<string, number> = {}
  for (const ending of endings) {
    const all = transitionsOf(ending)
    expected.set(ending.id, new Set(all))
    for (const type of all) happened[type] = (happened[type] ?? 0) + 1
  }
  const heard = new Set(received.map(({ event }) => `${event.subject} ${event.type.slice(14)}`))
  const untold = [...expected].flatMap(([id, types]) =>
    [...types].filter((type) => !heard.has(`${id} ${type}`) && !waiting.has(`${id} ${type}`)),
  )
  const invented = [...heard].filter((one) => {
    const [id = '', type = ''] = one.split(' ')
    return !expected.get(id)?.has(type)
  })
  const bodies = new Map<string, string>()
  let changed = 0
  for (const { id, body, event } of received) {
    if (event.id !== id || (bodies.get(id) ?? body) !== body) changed += 1
    bodies.set(id, body)
  }
  return {
    happened,
    untold: untold.length,
    invented: invented.length,
    changed,
    requests: received.length,
  }
}

/** What its caller is to be told of an ending that is over. */
function transitionsOf({ state, confirmed_at }: Read['endings'][number]): string[] {
  const seen = confirmed_at === null ? [] : ['confirmed']
  return state === 'pending' ? [] : [state, ...seen]
}

const headers = (key: string) => ({ authorization: `Bearer ${key}`, 'content-type': 'application/json' })

/** An end now, or soon; of a session that there is not; or one that an operator takes back. */
async function act(url: string, session: string, random: () => number): Promise<string | undefined> {
  const kind = random()
  const target = kind < 0.15 ? randomUUID() : session
  const dueAt = new Date(Date.now() + (kind > 0.85 ? 3_600_000 : random() * 600)).toISOString()
  try {
    const answer = await fetch(`${url}/v1/sessions/${target}/end`, {
      method: 'POST',
      headers: headers(KEYS.booking),
      body: JSON.stringify(random() < 0.5 && kind <= 0.85 ? {} : { dueAt }),
    })
    if (answer.status !== 202) return undefined
    const { id } = (await answer.json()) as { id: string }
    if (kind > 0.85)
      await fetch(`${url}/v1/endings/${id}/cancel`, {
        method: 'POST',
        headers: headers(KEYS.ops),
        body: '{}',
      })
    return id
  } catch {
    return undefined
  }
}

/** Resolves when all that is due is over, everybody has been told, and confirmations had time to come. */
async function settled(url: string): Promise<void> {
  const began = Date.now()
  const get = async (path: string) =>
    (await fetch(`${url}${path}`, { headers: headers(KEYS.ops) })).json() as Promise<never>
  const dueBefore = new Date(began + 60_000).toISOString()
  for (; Date.now() < began + WITHIN_MS; await pause(200)) {
    // What failed meanwhile need not wait for its time.
    await fetch(`${url}/v1/notifications/retry`, {
      method: 'POST',
      headers: headers(KEYS.ops),
      body: '{"filter":{"caller":"booking"}}',
    })
    const { data } = (await get(`/v1/endings?state=pending&dueBefore=${dueBefore}&limit=1`)) as {
      data: object[]
    }
    const { notifications } = (await get('/status')) as { notifications: { pending: number } }
    const isConfirming = Date.now() < began + CONFIRMED_WITHIN_MS
    if (data.length === 0 && notifications.pending === 0 && !isConfirming) return
  }
  throw new Error(`not all was over and told within ${WITHIN_MS} ms`)
}
