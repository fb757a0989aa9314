import type { Test } from 'tap'
import type { NewRoom, Session } from '../../src/sandbox/sandbox.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { type Service, type ServiceOptions, startService, until } from '../helper/service.ts'

export const NOON = Date.parse('2026-11-23T12:00:00Z')
export const MINUTE = 60_000
/** That many minutes after noon, as callers write it. */
export const at = (minutes: number) => new Date(NOON + minutes * MINUTE).toISOString()

export interface Scene extends Service {
  clock: ManualClock
  /** A live session that began at noon, in a room of its own. */
  live(room?: NewRoom): Session
  /** The id of the ending that a POST makes. */
  ask(session: Session, body: object): Promise<string>
  /** Until so many minutes after noon, with all that is to happen on the way at its own time. */
  pass(minutes: number): Promise<void>
  /** What people have read: minutes after noon, the room's friendly URL, the text. */
  chat(): [at: number, room: string, text: string][]
  /** An ending's warnings, each as its minutes, what people were told, and what came of it. */
  warnings(id: string): Promise<unknown[]>
}

const TEXT = { WARNING_TEXT: '{minutes} until {time}', SHUTDOWN_GRACE: '0s' }

/** A service whose clock stands at noon, on SQLite: PostgreSQL goes by a clock of its own. */
export async function startScene(t: Test, options: ServiceOptions = {}): Promise<Scene> {
  const clock = (options.clock ?? new ManualClock(NOON)) as ManualClock
  const service = await startService(t, { ...options, clock, env: { ...TEXT, ...options.env } })
  const { sandbox, request, app } = service
  const url = new Map<string, string>()
  const live = (fields: NewRoom = {}) => {
    const room = sandbox.createRoom(fields)
    url.set(room.id, room.friendlyUrl)
    return sandbox.startSession({ room: room.id, startTime: NOON })
  }
  const ask = async ({ id }: Session, body: object): Promise<string> =>
    (await request('POST', `/v1/sessions/${id}/end`, { body })).json().id
  const pass = async (minutes: number) => {
    const to = NOON + minutes * MINUTE
    for (;;) {
      await until(() => settled(service))
      if (clock.now() >= to) return
      const next = await Promise.all([app.limits.nextWarning(), app.ledger.nextAttemptAt()])
      await clock.advanceTo(Math.min(to, ...next.map((time) => time ?? to)))
    }
  }
  const nameOf = (room: string) => url.get(room) ?? sandbox.sessions.find((s) => s.room.id === room)?.room
  const chat = () =>
    sandbox.chat.map(({ at, room, message }) => [(at - NOON) / MINUTE, nameOf(room), message]) as never
  const warnings = async (id: string) =>
    ((await service.ending(id)).warnings ?? []).map((w) => [w.minutes, w.toldMinutes, w.result])
  return { ...service, clock, live, ask, pass, chat, warnings }
}

/** Whether nothing is due that has not been done, warnings that were begun included. */
async function settled({ app, clock }: Service): Promise<boolean> {
  const next = await app.limits.nextWarning()
  if (next !== undefined && next <= clock.now()) return false
  if (await app.ledger.firstDue()) return false
  const claimed = await app.ledger.list({ state: 'pending' }, 200)
  return claimed.every((row) => row.claimed_until === null) && (await begun(app)) === 0
}

/** How many warnings are marked and not known to have been sent. */
export async function begun({ database }: Service['app']): Promise<number> {
  const rows = await database.db
    .selectFrom('warnings')
    .select('minutes')
    .where('result', '=', 'begun')
    .execute()
  return rows.length
}
