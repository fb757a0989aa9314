import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { startProcess } from './process.ts'
import { environment, KEYS } from './service.ts'

export interface CrashReport {
  kills: number
  accepted: number
  /** asked for and never answered, because the process died */
  unanswered: number
  /** accepted, and not in the ledger as ended or its session still live */
  lost: number
  /** sessions that got an end call although nobody had asked, or that nobody asked about and are over */
  notAskedFor: number
  /** sessions that got a second end call */
  calledTwice: number
  damaged: number
}

const CLIENTS = 8

/** Kills a real Curfew `kills` times at random moments under load, and then counts what became of everything. */
export async function crash(file: string, kills: number, random: () => number): Promise<CrashReport> {
  const sandbox = await startSandbox({ callsPerMinute: 1e9 })
  const env = environment(sandbox, `file:${file}`, { CALLS_PER_MINUTE: '100000', LOG_LEVEL: 'warn' })
  const room = sandbox.createRoom({}).id
  const bystanders = Array.from({ length: 20 }, () => sandbox.startSession({ room }))
  const asked = new Set<string>()
  const accepted = new Map<string, string>()
  let damaged = 0

  for (let kill = 0; kill < kills; kill += 1) {
    const curfew = await startProcess({ ...env, LOG_LEVEL: 'info' })
    let alive = true
    const client = async () => {
      while (alive) {
        const session = sandbox.startSession({ room }).id
        asked.add(session)
        const id = await ask(curfew.url, session, random)
        if (id) accepted.set(id, session)
      }
    }
    const clients = Array.from({ length: CLIENTS }, client)
    // A slow machine takes its time to the first answers; the moment of the kill is counted from some of them.
    for (const enough = accepted.size + 20; accepted.size < enough; ) await pause(5)
    await pause(random() * 400)
    alive = false
    curfew.signal('SIGKILL')
    await Promise.all([curfew.exited, ...clients])
    if (!isSound(file)) damaged += 1
  }

  const last = await startProcess({ ...env, LOG_LEVEL: 'info' })
  await finished(last.url)
  last.signal('SIGTERM')
  await last.exited
  const lost = countLost(file, accepted, (session) => sandbox.session(session)?.live === true)
  const ends = sandbox.calls
    .filter(({ operation }) => operation === 'end')
    .map(({ session }) => session as string)
  const report = {
    kills,
    accepted: accepted.size,
    unanswered: asked.size - accepted.size,
    lost,
    notAskedFor:
      ends.filter((session) => !asked.has(session)).length + bystanders.filter(({ live }) => !live).length,
    calledTwice: ends.length - new Set(ends).size,
    damaged,
  }
  await sandbox.close()
  return report
}

/** Resolves with the ending's id, or undefined where the process died before it answered. */
async function ask(url: string, session: string, random: () => number): Promise<string | undefined> {
  const dueAt = new Date(Date.now() + random() * 800).toISOString()
  try {
    const answer = await fetch(`${url}/v1/sessions/${session}/end`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.booking}`, 'content-type': 'application/json' },
      body: JSON.stringify(random() < 0.5 ? { dueAt } : {}),
    })
    return answer.status === 202 ? ((await answer.json()) as { id: string }).id : undefined
  } catch {
    return undefined
  }
}

async function finished(url: string): Promise<void> {
  for (;;) {
    const answer = await fetch(`${url}/status`, { headers: { authorization: `Bearer ${KEYS.booking}` } })
    if (((await answer.json()) as { pending: number }).pending === 0) return
    await pause(50)
  }
}

function isSound(file: string): boolean {
  const db = new DatabaseSync(file)
  const rows = db.prepare('pragma integrity_check').all() as Array<{ integrity_check: string }>
  db.close()
  return rows.length === 1 && rows[0]?.integrity_check === 'ok'
}

function countLost(
  file: string,
  accepted: Map<string, string>,
  isLive: (session: string) => boolean,
): number {
  const db = new DatabaseSync(file)
  const stateOf = db.prepare('select state from endings where id = ?')
  const lost = [...accepted].filter(([id, session]) => {
    const row = stateOf.get(id) as { state: string } | undefined
    return row?.state !== 'ended' || isLive(session)
  })
  db.close()
  return lost.length
}

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
