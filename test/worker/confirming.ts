import type { Test } from 'tap'
import type { EndingRow, Engine } from '../../src/storage/schema.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { type Service, type ServiceOptions, startService, until } from '../helper/service.ts'

const WEBHOOK_SECRET = 'webhook-secret-0123456789'
export const SECOND = 1000
export const MINUTE = 60_000
export const HOUR = 60 * MINUTE

type Line = Record<string, unknown>

export interface Scene extends Service {
  clock: ManualClock
  /** A live session of a room of its own. */
  session(): string
  /** Asks for the end of a session; the ending's id. */
  end(session: string, body?: object, as?: 'booking' | 'billing'): Promise<string>
  row(id: string): Promise<EndingRow>
  /** The row as soon as `is` holds for it. */
  when(id: string, is: (row: EndingRow) => boolean): Promise<EndingRow>
  /** The row of an ending that has ended. */
  ended(id: string): Promise<EndingRow>
  confirmed(id: string): Promise<EndingRow>
  /** When which sessions were looked up (epoch ms). */
  lookUps(): Array<{ session: string | undefined; at: number }>
  /** Log lines with that message. */
  logged(msg: string): Line[]
  /** Sends Digital Samba's webhooks to the service's real socket. */
  registerWebhook(): Promise<void>
}

interface SceneOptions extends Omit<ServiceOptions, 'clock' | 'onLog'> {
  clock?: ManualClock
  engine?: Engine
}

/** A service whose clock stands still, with short words for what tests of confirmations need again and again. */
export async function startScene(t: Test, options: SceneOptions = {}): Promise<Scene> {
  // PostgreSQL tells its own time, so the clock begins there.
  const clock = options.clock ?? new ManualClock(Date.now())
  const lines: Line[] = []
  const env = { DIGITAL_SAMBA_WEBHOOK_SECRET: WEBHOOK_SECRET, ...options.env }
  const onLog = (line: Line) => void lines.push(line)
  const service = await startService(t, { ...options, clock, env, onLog })
  const { app, sandbox, request } = service
  const session = () => sandbox.startSession({ room: sandbox.createRoom().id }).id
  const end: Scene['end'] = async (of, body = {}, as = 'booking') =>
    (await request('POST', `/v1/sessions/${of}/end`, { body, as })).json().id
  const row: Scene['row'] = async (id) => (await app.ledger.find(id)) as EndingRow
  const when: Scene['when'] = (id, is) =>
    until(async () => {
      const found = await row(id)
      return is(found) && found
    })
  const ended = (id: string) => when(id, ({ state }) => state === 'ended')
  const confirmed = (id: string) => when(id, (found) => found.confirmed_at !== null)
  const lookUps = () =>
    sandbox.calls
      .filter(({ operation }) => operation === 'session')
      .map((call) => ({ session: call.session, at: call.at }))
  const logged = (msg: string) => lines.filter((line) => line.msg === msg)
  const registerWebhook = async () => {
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const endpoint = `${url}/v1/webhooks/digital-samba`
    const events = ['session_started', 'participant_left', 'session_ended'] as const
    sandbox.createWebhook({ endpoint, events: [...events], authorizationHeader: WEBHOOK_SECRET })
  }
  return { ...service, clock, session, end, row, when, ended, confirmed, lookUps, logged, registerWebhook }
}
