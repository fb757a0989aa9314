import { setTimeout as pause } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { curfew, serverOptions } from '../../src/app.ts'
import { createLogger } from '../../src/logger.ts'
import { readConfig } from '../../src/plugins/environment.ts'
import { type Room, type Session, startSandbox } from '../../src/sandbox/sandbox.ts'
import { seeded } from '../helper/crash.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { environment, KEYS } from '../helper/service.ts'
import { tellNoTime } from '../simulation/simulate.ts'
import { startProxy } from './proxy.ts'

export interface Fuzzing {
  databaseUrl: string
  /** how many answers are to be changed */
  mutations: number
  seed: number
}

export interface FuzzReport {
  mutated: Record<string, number>
  endings: number
  /** that failed because Digital Samba's own words said so, and were tried again in the end */
  refused: number
  sessions: number
  seconds: number
  faults: string[]
}

const SHARE = 0.5
const PENDING = 30
const SECOND = 1000
// The longest backoff, a call budget's window and a second look after a minute; a claim's lease is longer than that.
const SETTLED_WITHIN_S = 140
const ENVIRONMENT = {
  CALLS_PER_MINUTE: '100000',
  CALL_TIMEOUT_MS: '300',
  RETRY_FOR: '24h',
  SWEEP_INTERVAL: '30s',
  WARN_MINUTES: '1',
  SHUTDOWN_GRACE: '0s',
}
// What the log calls trouble of Curfew's own; that Digital Samba is out of order is what is being tried.
const TROUBLE = /\.trouble$|not_recorded|not_stored|not_written_down|request\.failed|cannot_store/

/** Curfew through a proxy that changes every other answer; then the answers are right again. */
export async function fuzz({ databaseUrl, mutations, seed }: Fuzzing): Promise<FuzzReport> {
  const began = performance.now()
  const random = seeded(seed)
  const clock = new ManualClock()
  const sandbox = await startSandbox({ clock, callsPerMinute: 1e9 })
  if (!databaseUrl.startsWith('file:')) await tellNoTime(databaseUrl)
  const proxy = await startProxy(sandbox.url, random, SHARE, PENDING)
  const faults: string[] = []
  const onCrash = (error: unknown) => void faults.push(`nobody caught ${String(error)}`)
  process.on('unhandledRejection', onCrash)
  const env = { ...environment(sandbox, databaseUrl, ENVIRONMENT), DIGITAL_SAMBA_URL: proxy.url }
  const app = await start(env, clock, (line) => {
    if (TROUBLE.test(String(line.msg))) faults.push(`logged ${JSON.stringify(line).slice(0, 400)}`)
  })
  const scene = new Scene(app, random, sandbox)
  await scene.begin()
  while (proxy.count < mutations) {
    await scene.refill()
    await clock.advance(SECOND)
    await pause(5)
  }
  proxy.straighten()
  await clock.advance(SECOND)
  for (let s = 0; s < SETTLED_WITHIN_S && !(await scene.isSettled()); s += 1) {
    await clock.advance(SECOND)
    await pause(10)
  }
  faults.push(...(await scene.verdict()))
  if (scene.retried > proxy.refusals)
    faults.push(`${scene.retried} endings failed, and only ${proxy.refusals} may have been refused`)
  const report = {
    mutated: Object.fromEntries([...proxy.mutated].sort(([, a], [, b]) => b - a)),
    endings: scene.asked.size,
    refused: scene.retried,
    sessions: sandbox.sessions.length,
    seconds: Math.round((performance.now() - began) / 100) / 10,
    faults,
  }
  await app.close()
  process.off('unhandledRejection', onCrash)
  await proxy.close()
  await sandbox.close()
  return report
}

async function start(
  env: Record<string, string>,
  clock: ManualClock,
  onLine: (line: Record<string, unknown>) => void,
): Promise<FastifyInstance> {
  const config = await readConfig(env, '/nonexistent')
  const write = (line: string) => onLine(JSON.parse(line))
  const app = Fastify(serverOptions(createLogger({ ...config.log, level: 'info' }, { write })))
  await app.register(fp(curfew), { config, clock })
  await app.ready()
  return app as unknown as FastifyInstance
}

type Sandbox = Awaited<ReturnType<typeof startSandbox>>

/** What is asked for, and of whom nothing is. */
class Scene {
  /** the endings by their ids, with the sessions that they are about */
  readonly asked = new Map<string, Session[]>()
  retried = 0
  readonly #app: FastifyInstance
  readonly #random: () => number
  readonly #sandbox: Sandbox
  readonly #bystanders: Session[]
  readonly #limited: Room
  readonly #held: Room

  constructor(app: FastifyInstance, random: () => number, sandbox: Sandbox) {
    this.#app = app
    this.#random = random
    this.#sandbox = sandbox
    this.#limited = this.#room()
    this.#held = this.#room()
    this.#bystanders = Array.from({ length: 5 }, () => sandbox.startSession({ room: this.#room().id }))
  }

  /** A room whose sessions may last a minute, and one that is kept closed. */
  async begin(): Promise<void> {
    const { id } = this.#limited
    await this.#ask('PUT', `/v1/time-limits/${id}`, { maxMinutes: 1, warnMinutes: [] })
    const holdUntil = new Date(this.#app.ledger.clock.now() + 300 * 24 * 3_600_000).toISOString()
    const held = await this.#ask('POST', '/v1/endings', {
      target: { room: this.#held.friendlyUrl },
      holdUntil,
    })
    this.asked.set(held.id, [])
  }

  /** So that there is always something to do. */
  async refill(): Promise<void> {
    this.#sandbox.enter(this.#limited.id)
    this.#sandbox.enter(this.#held.id)
    const { pending } = await this.#app.ledger.backlog()
    for (let i = pending; i < PENDING; i += 1) await this.#one()
  }

  async #one(): Promise<void> {
    const room = this.#room()
    const sessions = Array.from({ length: this.#random() < 0.2 ? 2 : 1 }, () =>
      this.#sandbox.startSession({ room: room.id }),
    )
    const [session] = sessions as [Session]
    const targets = [
      { session: session.id },
      { room: room.id },
      { room: room.friendlyUrl },
      { roomExternalId: room.externalId },
    ]
    const target = targets[Math.floor(this.#random() * targets.length)] as (typeof targets)[number]
    const dueAt = new Date(
      this.#app.ledger.clock.now() + Math.floor(this.#random() * 120) * SECOND,
    ).toISOString()
    const urgent = this.#random() < 0.2
    const { id } = await this.#ask('POST', '/v1/endings', { target, dueAt, urgent })
    this.asked.set(id, 'session' in target ? [session] : sessions)
  }

  /** Whether all is over. What Digital Samba has refused in so many words is tried again, as somebody on call would. */
  async isSettled(): Promise<boolean> {
    const failed = await this.#app.ledger.list({ state: 'failed' }, 200)
    for (const { id } of failed) {
      this.retried += 1
      await this.#ask('POST', `/v1/endings/${id}/retry`)
    }
    const { overdue } = await this.#app.ledger.backlog()
    return failed.length === 0 && overdue === 0 && this.#live().length === 0
  }

  #live(): Session[] {
    const asked = [...this.asked.values()].flat()
    const watched = this.#sandbox.liveSessions().filter(({ room }) => room === this.#held)
    return [...asked, ...watched].filter(({ live }) => live)
  }

  async verdict(): Promise<string[]> {
    const { db } = this.#app.database
    const rows = new Map((await db.selectFrom('endings').selectAll().execute()).map((row) => [row.id, row]))
    const mine = new Set([this.#limited, this.#held])
    const allowed = new Set([...this.asked.values()].flat().map(({ id }) => id))
    const called = this.#sandbox.calls.filter(({ operation }) => operation === 'end')
    const unasked = called.filter(({ session }) => {
      const found = this.#sandbox.session(session as string)
      return found && !allowed.has(found.id) && !mine.has(found.room)
    })
    const lost = [...this.asked].filter(([id, sessions]) => {
      return rows.get(id)?.state !== 'ended' || sessions.some(({ live }) => live)
    })
    const held = [...rows.values()].filter(({ claimed_until }) => claimed_until !== null)
    return [
      ...unasked.map(({ session }) => `${session} was asked to end, and nobody had asked for that`),
      ...this.#bystanders
        .filter(({ live }) => !live)
        .map(({ id }) => `${id} is over, and is nobody's business`),
      ...lost.map(([id]) => `ending ${id} is not done: ${JSON.stringify(rows.get(id) ?? 'lost')}`),
      ...held.map((row) => `a claim waits for its lease: ${JSON.stringify(row)}`),
    ]
  }

  #room(): Room {
    const id = Math.floor(this.#random() * 2 ** 32).toString(36)
    return this.#sandbox.createRoom({ friendlyUrl: `room-${id}`, externalId: `external ${id}` })
  }

  async #ask(method: 'POST' | 'PUT', url: string, payload?: object) {
    const headers = { authorization: `Bearer ${KEYS.ops}` }
    const answer = await this.#app.inject({ method, url, headers, ...(payload ? { payload } : {}) })
    if (answer.statusCode >= 300) throw new Error(`${method} ${url}: ${answer.statusCode} ${answer.body}`)
    return answer.json()
  }
}
