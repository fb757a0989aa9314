import { setTimeout as pause } from 'node:timers/promises'
import type { Sandbox } from '../src/sandbox/sandbox.ts'
import { KEYS } from '../test/helper/service.ts'
import { type Row, residentMb } from './measure.ts'
import { type Measured, startMeasured } from './process.ts'
import { allEnded, ask, barFor, figures, lateBy, latenessOf500, warmUp } from './timeliness.ts'

const LIMITED = 500
const LIVE = 5000
const PAGE = 100
const MINUTE = 60_000

/**
 * Time limits: how late they are, what a sweep of 5000 sessions takes, and whether it delays ends that come due: without
 * it they are as late as the row `lateness` says.
 */
export async function limits(env: Record<string, string>, sandbox: Sandbox, engine: string): Promise<Row[]> {
  // The shortest there is, so that sweeps are going on nearly all the time.
  const curfew = await startMeasured({ ...env, SWEEP_INTERVAL: '1s' })
  await warmUp(curfew, sandbox)
  const rows = await limitLateness(curfew, sandbox, engine)
  rows.push(...(await sweeping(curfew, sandbox, engine)))
  for (const { id } of sandbox.liveSessions()) sandbox.endSession(id)
  await curfew.end('SIGTERM')
  return rows
}

/**
 * 500 sessions that reach their limit within 5 seconds. Digital Samba tells whole seconds, so they do so 100 at a time;
 * endings that are asked for, due in the same way, are what that is to be compared with.
 */
async function limitLateness(curfew: Measured, sandbox: Sandbox, engine: string): Promise<Row[]> {
  const second = (Math.floor(Date.now() / 1000) + 3) * 1000
  const dueAt = (i: number) => second + Math.floor((i * 5) / LIMITED) * 1000
  const sessions = startCrowd(sandbox, 'limited', LIMITED, (i) => dueAt(i) - MINUTE)
  const due = new Map(sessions.map((session, i) => [session, dueAt(i)]))
  await setRule(curfew, 'limited', 1)
  await allEnded(sandbox, LIMITED)
  const limited = lateBy(sandbox, due, engine)
  await removeRule(curfew, 'limited')
  const asked = await askedLateness(curfew, sandbox, engine)
  const how = `${engine}, 100 at each of 5 seconds`
  return [
    [`lateness of time limits, ${how}`, figures(limited), ''],
    [`lateness of endings asked for, ${how}`, figures(asked), ''],
  ]
}

async function askedLateness(curfew: Measured, sandbox: Sandbox, engine: string): Promise<number[]> {
  const second = (Math.floor(Date.now() / 1000) + 3) * 1000
  const sessions = startCrowd(sandbox, 'asked-for', LIMITED, () => Date.now())
  const due = new Map(sessions.map((session, i) => [session, second + Math.floor((i * 5) / LIMITED) * 1000]))
  for (const [session, at] of due) await ask(curfew, session, { dueAt: new Date(at).toISOString() })
  await allEnded(sandbox, LIMITED)
  return lateBy(sandbox, due, engine)
}

/** 5000 live sessions: the first sweep, which makes 5000 endings; then ends that come due while others go on. */
async function sweeping(curfew: Measured, sandbox: Sandbox, engine: string): Promise<Row[]> {
  startCrowd(sandbox, 'crowded', LIVE, () => Date.now())
  const before = residentMb(curfew.pid)
  const began = performance.now()
  const pages = () =>
    sandbox.calls.filter(({ operation, status }) => operation === 'sessions' && status === 200)
  await setRule(curfew, 'crowded', 600)
  while ((await pending(curfew)) < LIVE) await pause(5)
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  const calls = pages().length
  const after = residentMb(curfew.pid)
  // Some are new, so that sweeps have something to write.
  const more = () => startCrowd(sandbox, 'crowded', 1000, () => Date.now(), false)
  const late = await latenessOf500(curfew, sandbox, engine, more)
  const sweeps = Math.round(pages().length / (LIVE / PAGE))
  const rss = `${before} MB before, ${after} MB after, ${residentMb(curfew.pid)} MB after ${sweeps} more`
  return [
    [`first sweep of ${LIVE}, ${engine}`, `${seconds} s, ${calls} calls for ${LIVE} endings made`, ''],
    [`resident memory, sweeps of ${LIVE}, ${engine}`, rss, ''],
    [
      `lateness, ${engine}, 500 over 5 s, while ${sweeps} sweeps of ${LIVE} go on`,
      figures(late),
      barFor(engine),
    ],
  ]
}

/** Live sessions of one room, and no calls so far unless `forget` is false. */
function startCrowd(
  sandbox: Sandbox,
  friendlyUrl: string,
  size: number,
  startTime: (i: number) => number,
  forget = true,
): string[] {
  if (forget) sandbox.clearCalls()
  const room = roomCalled(sandbox, friendlyUrl)
  return Array.from({ length: size }, (_, i) => sandbox.startSession({ room, startTime: startTime(i) }).id)
}

// The sandbox is the same for both engines.
function roomCalled(sandbox: Sandbox, friendlyUrl: string): string {
  const known = sandbox.sessions.find(({ room }) => room.friendlyUrl === friendlyUrl)
  return known?.room.id ?? sandbox.createRoom({ friendlyUrl }).id
}

const headers = { authorization: `Bearer ${KEYS.booking}`, 'content-type': 'application/json' }

async function setRule({ url }: Measured, room: string, maxMinutes: number): Promise<void> {
  const body = JSON.stringify({ maxMinutes })
  const answer = await fetch(`${url}/v1/time-limits/${room}`, { method: 'PUT', headers, body })
  if (answer.status !== 201) throw new Error(`answered ${answer.status}`)
}

async function removeRule({ url }: Measured, room: string): Promise<void> {
  const { authorization } = headers
  await fetch(`${url}/v1/time-limits/${room}`, { method: 'DELETE', headers: { authorization } })
}

async function pending({ url }: Measured): Promise<number> {
  return ((await (await fetch(`${url}/status`, { headers })).json()) as { pending: number }).pending
}
