import type { Test } from 'tap'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { type Service, type ServiceOptions, startService, until } from '../helper/service.ts'

export const SECOND = 1000
export const MINUTE = 60_000
export const SWEEP_MS = 30_000
export const SECRET = 'a-secret-of-webhooks'

export interface Sweeping extends Service {
  clock: ManualClock
}

/** A service on a clock that stands still, to which Digital Samba's webhooks may come. */
export async function startSweeping(
  t: Test,
  options: Omit<ServiceOptions, 'clock'> & { clock?: ManualClock } = {},
) {
  const clock = options.clock ?? new ManualClock()
  const env = { DIGITAL_SAMBA_WEBHOOK_SECRET: SECRET, ...options.env }
  return { ...(await startService(t, { ...options, clock, env })), clock }
}

/** Sets the rule of a room, as `booking` unless `as` says otherwise. */
export async function setRule(
  { request }: Service,
  room: string,
  maxMinutes: number,
  as?: 'billing' | 'ops',
) {
  const path = `/v1/time-limits/${encodeURIComponent(room)}`
  const { statusCode, body } = await request('PUT', path, { body: { maxMinutes }, ...(as ? { as } : {}) })
  if (statusCode > 201) throw new Error(`no rule: ${statusCode} ${body}`)
}

/** Tells, as Digital Samba would, that a session has begun. */
export function tellStarted({ app }: Service, { id, room }: { id: string; room: { id: string } }) {
  return app.inject({
    method: 'POST',
    url: '/v1/webhooks/digital-samba',
    headers: { authorization: `Bearer ${SECRET}` },
    payload: { eventType: 'session_started', sessionId: id, roomId: room.id },
  })
}

/** Every ending that a time limit has made for a session. */
export const limitsOf = ({ app }: Service, { id }: { id: string }) =>
  app.ledger.list({ key: `limit:${id}` }, 10)

/** The ending of a session's time limit, as soon as there is one. */
export const limitOf = (service: Service, session: { id: string }) =>
  until(async () => (await limitsOf(service, session))[0])

/** How many calls of a kind there were. */
export const count = ({ sandbox }: Pick<Service, 'sandbox'>, operation: string) =>
  sandbox.calls.filter((call) => call.operation === operation).length

/** The next sweep, which may have several pages; it is over when the one after it could begin. */
export async function sweep(service: Sweeping, pages = 1): Promise<void> {
  const before = count(service, 'sessions')
  await service.clock.advance(SWEEP_MS)
  await service.sandbox.waitForCalls(() => count(service, 'sessions') >= before + pages)
}

/** So many live sessions, of which a page shows a hundred. */
export function crowd(sandbox: Sandbox, size: number) {
  const room = sandbox.createRoom({ friendlyUrl: 'crowded' }).id
  return Array.from({ length: size }, () => sandbox.startSession({ room }))
}
