import { setTimeout as pause } from 'node:timers/promises'
import type { Sandbox } from '../src/sandbox/sandbox.ts'
import { KEYS } from '../test/helper/service.ts'
import { percentile, type Row } from './measure.ts'
import { type Measured, startMeasured } from './process.ts'

export async function ask(curfew: Measured, session: string, body: object): Promise<void> {
  const answer = await fetch(`${curfew.url}/v1/sessions/${session}/end`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEYS.booking}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (answer.status !== 202) throw new Error(`answered ${answer.status}`)
  await answer.arrayBuffer()
}

function startSessions(sandbox: Sandbox, count: number): string[] {
  const room = sandbox.createRoom({}).id
  sandbox.clearCalls()
  return Array.from({ length: count }, () => sandbox.startSession({ room }).id)
}

// Look-ups that confirm what was ended are calls as well.
const ends = (sandbox: Sandbox) => sandbox.calls.filter(({ operation }) => operation === 'end')
export const allEnded = (sandbox: Sandbox, count: number) =>
  sandbox.waitForCalls((calls) => calls.length >= count && calledAt(sandbox).size >= count)
const calledAt = (sandbox: Sandbox) =>
  new Map(ends(sandbox).map(({ session, at }) => [session as string, at] as const))
export const figures = (late: number[]) =>
  `p50 ${percentile(late, 0.5)} ms, p99 ${percentile(late, 0.99)} ms, most ${Math.max(...late)} ms`

/** From sending the request to the arrival of the end call, at 50 requests a second for 5 seconds. */
export async function acceptToCall(
  env: Record<string, string>,
  sandbox: Sandbox,
  engine: string,
): Promise<Row> {
  const curfew = await startMeasured(env)
  await warmUp(curfew, sandbox)
  const sessions = startSessions(sandbox, 250)
  const asked = new Map<string, number>()
  for (const session of sessions) {
    asked.set(session, Date.now())
    void ask(curfew, session, {})
    await pause(20)
  }
  await allEnded(sandbox, sessions.length)
  const late = [...calledAt(sandbox)].map(([session, at]) => at - (asked.get(session) as number))
  await curfew.end('SIGTERM')
  return [`accept to call, ${engine}, 50 a second`, figures(late), '']
}

/** The first call of 500 endings whose due times are spread over 5 seconds, against those times. */
export async function lateness(env: Record<string, string>, sandbox: Sandbox, engine: string): Promise<Row> {
  const curfew = await startMeasured(env)
  await warmUp(curfew, sandbox)
  const late = await latenessOf500(curfew, sandbox, engine)
  await curfew.end('SIGTERM')
  return [`lateness, ${engine}, 500 over 5 s`, figures(late), barFor(engine)]
}

export const barFor = (engine: string) => `p99 ${engine === 'sqlite' ? 10 : 25} ms`

/** How late (ms) each of 500 endings was whose due times are spread over 5 seconds from `begin` on. */
export async function latenessOf500(
  curfew: Measured,
  sandbox: Sandbox,
  engine: string,
  atBegin: () => unknown = () => undefined,
): Promise<number[]> {
  const sessions = startSessions(sandbox, 500)
  const begin = Date.now() + 3000
  void pause(3000).then(atBegin)
  const due = new Map(sessions.map((session, i) => [session, begin + i * 10]))
  for (const [session, at] of due) await ask(curfew, session, { dueAt: new Date(at).toISOString() })
  await allEnded(sandbox, sessions.length)
  return lateBy(sandbox, due, engine)
}

/** How late (ms) the first call for each session was, against the time at which it was due. */
export function lateBy(sandbox: Sandbox, due: Map<string, number>, engine: string): number[] {
  const called = calledAt(sandbox)
  const late = [...due].map(([session, at]) => (called.get(session) as number) - at)
  // On PostgreSQL its clock counts, which may be a millisecond or two from the one that is read here.
  if (Math.min(...late) < (engine === 'sqlite' ? 0 : -3))
    throw new Error('a session was ended before its time')
  return late
}

// The first calls of a process load code and open connections; a service that has run for a minute has done both.
export async function warmUp(curfew: Measured, sandbox: Sandbox): Promise<void> {
  const sessions = startSessions(sandbox, 50)
  for (const session of sessions) await ask(curfew, session, {})
  await allEnded(sandbox, sessions.length)
}

/** 500 accepted and unfinished at a kill -9, 200 ms a call: from the restart to the last call. */
export async function recovery(env: Record<string, string>, sandbox: Sandbox, engine: string): Promise<Row> {
  const before = await startMeasured(env)
  const sessions = startSessions(sandbox, 500)
  const dueAt = new Date(Date.now() + 4000).toISOString()
  for (const session of sessions) await ask(before, session, { dueAt })
  await before.end('SIGKILL')
  sandbox.inject({ operation: 'end', kind: 'delay', delayMs: 200, times: Number.POSITIVE_INFINITY })
  await pause(Math.max(Date.parse(dueAt) - Date.now(), 0))
  const began = Date.now()
  const after = await startMeasured(env)
  await allEnded(sandbox, sessions.length)
  const took = (Date.now() - began) / 1000
  sandbox.clearFaults()
  await after.end('SIGTERM')
  const twice = ends(sandbox).length - calledAt(sandbox).size
  return [`500 unfinished at a kill -9, ${engine}`, `${took.toFixed(1)} s, ${twice} called twice`, '15 s, 0']
}
