import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { Session } from '../../src/sandbox/sandbox.ts'
import { dumpOf } from '../helper/dump.ts'
import { type CallerName, until } from '../helper/service.ts'
import { HOUR, type Scene, startScene } from './scene.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/
const LOOK_UPS = ['session', 'sessions', 'room-sessions']

export interface Asked {
  method?: string
  url: string
  body?: unknown
  as?: CallerName
  headers?: Record<string, string>
  /** it is answered only when time has passed */
  waits?: boolean
}

interface Expected {
  /** the sessions that the real request ends at once */
  ends?: string[]
  /** how many look-ups tell that; what they cost is counted, and all else in the ledger stays as it is */
  lookUps?: number
  why?: RegExp
  /** ids that are real, and so the same in the rehearsal */
  known?: string[]
}

type Line = Record<string, unknown>

export async function startRehearsal(t: Test, databaseUrl: string, env: Record<string, string> = {}) {
  const lines: Line[] = []
  const scene = await startScene(t, { databaseUrl, env, onLog: (line) => lines.push(line) })
  return { ...scene, lines, databaseUrl, live: () => liveIn(scene) }
}
export type Stage = Awaited<ReturnType<typeof startRehearsal>>

function liveIn({ sandbox, now }: Pick<Scene, 'sandbox' | 'now'>): Session {
  const room = sandbox.createRoom({ externalId: `desk-${randomUUID()}` })
  return sandbox.startSession({ room: room.id, startTime: now - HOUR })
}

export async function send(stage: Stage, asked: Asked, query = '') {
  const { method = 'POST', url, waits = false, ...more } = asked
  const answer = stage.request(method, `${url}${query}`, more)
  if (!waits) return answer
  let isThere = false
  const there = answer.finally(() => {
    isThere = true
  })
  await soon(stage, async () => isThere)
  return there
}

/** Nothing is changed, begun or called by it but look-ups. Returns what it was answered. */
export async function rehearse(t: Test, stage: Stage, asked: Asked, lookUps = 0) {
  const { sandbox, databaseUrl, lines } = stage
  const before = await dumpOf(databaseUrl)
  const [calls, told] = [sandbox.calls.length, lines.length]
  const answer = await send(stage, asked, '?dryRun=true')
  const after = await dumpOf(databaseUrl)
  const made = sandbox.calls.slice(calls)
  t.equal(made.length, lookUps, `it makes ${lookUps} look-ups`)
  t.ok(made.every(({ operation }) => LOOK_UPS.includes(operation)))
  if (lookUps === 0 && !asked.waits) t.same(after, before, 'the ledger is what it was, byte for byte')
  else
    t.same(
      withoutBudget(after),
      withoutBudget(before),
      'the ledger is what it was but for the calls it counts',
    )
  const about = lines.slice(told).map(({ msg }) => String(msg))
  t.same(
    about.filter((msg) => /^(ending|event|hold|time_limit|warning)\./.test(msg)),
    [],
    'the log tells of nothing',
  )
  return answer
}

// On SQLite a call that is counted is written to the file, so that is left out with the table; and while time passes,
// leases are renewed.
function withoutBudget(dump: Record<string, unknown>) {
  const kept = Object.entries(dump).filter(([name]) => !/^(permits|vacuumed|file|log)$/.test(name))
  return JSON.parse(JSON.stringify(Object.fromEntries(kept)), (name, value) =>
    name === 'claimed_until' && value !== null ? 'renewed' : value,
  )
}

/** It is answered as the real request is a moment later, and ends nothing that this one does not. */
export async function isTrue(t: Test, stage: Stage, asked: Asked, expected: Expected = {}) {
  const { ends = [], lookUps = 0, why, known = [] } = expected
  const { sandbox } = stage
  const rehearsed = await rehearse(t, stage, asked, lookUps)
  t.equal(rehearsed.statusCode, 200)
  const { dryRun, wouldEnd, wouldEndWhy, ...answer } = rehearsed.json()
  t.equal(dryRun, true)
  t.same([...wouldEnd].sort(), [...ends].sort(), 'what it would end')
  if (why) t.match(wouldEndWhy, why)
  else t.equal(wouldEndWhy, undefined)
  const calls = sandbox.calls.length
  const real = await send(stage, asked)
  t.ok([200, 201, 202].includes(real.statusCode), real.body)
  t.equal(real.headers['idempotency-replayed'], rehearsed.headers['idempotency-replayed'])
  t.notOk('dryRun' in real.json() || 'wouldEnd' in real.json(), 'the real answer says nothing of rehearsals')
  sameButIds(t, answer, real.json(), known)
  const ended = () =>
    sandbox.calls.slice(calls).flatMap(({ operation, session }) => (operation === 'end' ? session : []))
  await soon(stage, async () => ended().length >= ends.length)
  await settled(stage)
  t.same(ended().sort(), [...ends].sort(), 'what the real one ends')
  return real.json()
}

/** Until nothing that is due is left to do. */
function settled(stage: Stage): Promise<void> {
  return soon(stage, async () => (await stage.app.ledger.backlog()).overdue === 0)
}

/** Lets time pass, slowly enough for leases to be renewed; replicas let each other go first for some ms. */
async function soon({ clock }: Stage, is: () => Promise<boolean>): Promise<void> {
  await until(async () => {
    if (await is()) return true
    await clock.advance(5)
    return false
  })
}

/** Ids in a rehearsal are made like real ones, but belong to nothing. */
function sameButIds(t: Test, rehearsed: unknown, real: unknown, known: string[]): void {
  const [ids, realIds] = [idsIn(rehearsed), idsIn(real)]
  t.equal(ids.length, realIds.length)
  for (const [i, id] of ids.entries())
    if (known.includes(String(realIds[i]))) t.equal(id, realIds[i])
    else {
      t.match(id, UUID)
      t.not(id, realIds[i])
    }
  t.same(masked(rehearsed), masked(real), 'all else is the same')
}

interface Answered {
  id?: string
  events?: Array<{ endings: string[] }>
}

const idsIn = (answer: unknown) => {
  const { id, events } = answer as Answered
  return events ? events.flatMap(({ endings }) => endings) : id === undefined ? [] : [id]
}

function masked(answer: unknown): unknown {
  const { id: _, ...rest } = answer as Answered
  const events = rest.events?.map((one) => ({ ...one, endings: one.endings.length }))
  return events ? { ...rest, events } : rest
}

export const end = (url: string, body: object = {}, more: Partial<Asked> = {}): Asked => ({
  url,
  body,
  ...more,
})
