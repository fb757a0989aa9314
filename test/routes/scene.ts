import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import type { Ending } from '../../src/routes/ending-schemas.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { type Service, type ServiceOptions, startService, until } from '../helper/service.ts'

export interface Scene extends Service {
  clock: ManualClock
  /** What the service takes for now (epoch ms), on PostgreSQL too; it stands still until the clock is moved. */
  now: number
  /** That many ms from now, as callers write it. */
  at(ms: number): string
  /** The ending that a POST makes; with an hour to go unless `body` says otherwise. */
  ask(body?: object, more?: { as?: 'booking' | 'billing' | 'ops' }): Promise<Ending>
  /** An ending that is over, in the state that is wanted. */
  finished(state: 'ended' | 'failed' | 'cancelled', body?: object): Promise<Ending>
  /** A pending ending whose call is on its way and stays there. */
  underway(body?: object): Promise<Ending>
  /** What is answered while time passes: who replaces an ending under way waits for it a moment. */
  inTime<T>(answer: Promise<T>): Promise<T>
}

export const HOUR = 3_600_000

/** A service whose clock stands still, with short words for what its tests need again and again. */
export async function startScene(t: Test, options: Omit<ServiceOptions, 'clock'> = {}): Promise<Scene> {
  // PostgreSQL tells its own time, so the sandbox starts there too.
  const clock = new ManualClock(Date.now())
  const service = await startService(t, { ...options, clock, env: { SHUTDOWN_GRACE: '0s', ...options.env } })
  const { request, sandbox, ending } = service
  const now = service.app.ledger.clock.now()
  const at = (ms: number) => new Date(now + ms).toISOString()
  const ask: Scene['ask'] = async (body = {}, more = {}) => {
    const whole = { target: { session: randomUUID() }, dueAt: at(HOUR), ...body }
    return (await request('POST', '/v1/endings', { body: whole, ...more })).json()
  }
  const liveSession = () => sandbox.startSession({ room: sandbox.createRoom().id }).id
  const over = (id: string) => until(async () => (await ending(id)).state !== 'pending' && ending(id))
  const finished: Scene['finished'] = async (state, body = {}) => {
    if (state === 'cancelled') {
      const { id } = await ask(body)
      return (await request('POST', `/v1/endings/${id}/cancel`)).json()
    }
    const session = state === 'ended' ? liveSession() : randomUUID()
    return over((await ask({ target: { session }, dueAt: at(0), ...body })).id)
  }
  const underway: Scene['underway'] = async (body = {}) => {
    const session = liveSession()
    sandbox.inject({ kind: 'hang', session })
    const asked = await ask({ target: { session }, dueAt: at(0), ...body })
    await sandbox.waitForCalls((calls) => calls.some((call) => call.session === session))
    return asked
  }
  const inTime: Scene['inTime'] = async (answer) => {
    let isThere = false
    const there = answer.finally(() => {
      isThere = true
    })
    // No faster than leases are renewed: what is under way must stay so.
    for (; !isThere; await pause(1)) await clock.advance(20)
    return there
  }
  return { ...service, clock, now, at, ask, finished, underway, inTime }
}
