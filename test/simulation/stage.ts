import type { Call, Room, Sandbox, Session } from '../../src/sandbox/sandbox.ts'
import type { ManualClock } from '../helper/manual-clock.ts'
import type { CallerName } from '../helper/service.ts'
import { Asked, namesOf } from './asked.ts'
import { othersChanged, readOwned } from './owned.ts'
import { passTo, quiet, type Running } from './running.ts'

/** Something that may make an end late: until `to`, and for a while after it. Times are epoch ms. */
export interface Disturbance {
  what: string
  from: number
  to: number
  /** how long it takes to be as if it had not been, ms */
  recoveryMs: number
  /** undefined: all sessions */
  session?: string | undefined
  room?: string | undefined
}

export interface Answer {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: what the service answers is looked at where it is used
  body: any
}

interface Later {
  at: number
  act: () => unknown
}

/** What everybody who plays a part in a simulation shares. */
export class Stage {
  readonly asked = new Asked()
  readonly disturbances: Disturbance[] = []
  readonly faults: string[] = []
  /** Undefined while Curfew is down. */
  curfew: Running | undefined
  isAsking = false
  /** how often somebody has asked for a change */
  steps = 0
  /** Towards the end nobody does anything any more. */
  isCalm = false
  readonly counts: Record<string, number> = {}
  readonly clock: ManualClock
  readonly sandbox: Sandbox
  readonly rooms: Room[]
  readonly random: () => number
  readonly #agenda: Later[] = []
  readonly #callsOf = new Map<string, Call[]>()
  readonly #notes: Array<{ at: number; room: string | undefined; text: string }> = []

  constructor(clock: ManualClock, sandbox: Sandbox, rooms: Room[], random: () => number) {
    this.clock = clock
    this.sandbox = sandbox
    this.rooms = rooms
    this.random = random
    sandbox.onCall((call) => {
      const { session } = call
      if (session) this.#callsOf.set(session, [...(this.#callsOf.get(session) ?? []), call])
    })
  }

  get now(): number {
    return this.clock.now()
  }

  chance(probability: number): boolean {
    return this.random() < probability
  }

  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + Math.floor(this.random() * (most - least + 1))
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.random() * list.length)]
  }

  live(room?: Room): Session[] {
    return this.sandbox.liveSessions().filter((session) => !room || session.room === room)
  }

  later(ms: number, act: () => unknown): void {
    const at = this.now + ms
    const behind = this.#agenda.findIndex((other) => other.at > at)
    this.#agenda.splice(behind === -1 ? this.#agenda.length : behind, 0, { at, act })
  }

  /** Plays until `end`; `look` sees every moment before anything is done. */
  async play(end: number, look: () => void): Promise<void> {
    for (;;) {
      await passTo(this.clock, Math.min(this.#agenda[0]?.at ?? end, end))
      look()
      // What has happened meanwhile may have put something before what was next.
      const next = this.#agenda[0]
      if (!next || next.at > this.now) {
        if (this.now >= end) return
        continue
      }
      this.#agenda.shift()
      await next.act()
      await quiet()
      look()
    }
  }

  /** Undefined while Curfew is down: then nobody has been asked. */
  async ask(method: string, url: string, as: CallerName, body?: unknown): Promise<Answer | undefined> {
    const { curfew } = this
    if (!curfew) return undefined
    this.isAsking = true
    const isStep = method !== 'GET'
    const owned = isStep ? await readOwned(curfew.app.database.db) : undefined
    const askedAt = this.now
    const answer = await curfew.ask(method, url, as, body).finally(() => {
      this.isAsking = false
    })
    if (isStep) this.steps += 1
    // Where it had to wait for an attempt, others have acted meanwhile, and Curfew may have died.
    if (owned && this.curfew === curfew && this.now === askedAt) {
      // Its call may be on its way already, and kill it.
      const others = await othersChanged(curfew.app.database.db, owned, as).catch((error) => {
        if (this.curfew === curfew) throw error
        return []
      })
      for (const what of others) this.faults.push(`${time(this.now)} ${as} ${method} ${url}: ${what}`)
    }
    const status = answer.statusCode
    this.count(`${method} ${status}`)
    const isOutage = status === 503 && this.#isExcused(method)
    if ((status >= 500 && !isOutage) || status === 422 || status === 400)
      this.faults.push(`${method} ${url} ${JSON.stringify(body)} answered ${status} ${answer.body}`)
    return { status, body: answer.body === '' ? undefined : answer.json() }
  }

  /** By any of its names, or a session in it. */
  roomOf(name: string): Room | undefined {
    return this.sandbox.session(name)?.room ?? this.rooms.find((room) => namesOf(room).includes(name))
  }

  /** Logged as an error: only a Curfew that is dying may, or one that tells of an outage which there is. */
  trouble(line: Record<string, unknown>): void {
    const isAnswer = line.msg === 'request.answered' && line.status === 503
    const isTold =
      line.msg === 'calls.refused' ||
      (line.msg === 'calls.failing' && this.#isOutage) ||
      (isAnswer && this.#isExcused(String(line.method)))
    if (this.curfew && !isTold)
      this.faults.push(`${time(this.now)} logged ${JSON.stringify(line).slice(0, 600)}`)
  }

  /** A question that only Digital Samba can answer may meet the one call that fails; what changes something may not. */
  #isExcused(method: string): boolean {
    return this.#isOutage || (method === 'GET' && this.sandbox.calls.slice(-1).some(hasFailed))
  }

  /** Most of the last calls have failed, or the credentials are refused. */
  get #isOutage(): boolean {
    const last = this.sandbox.calls.slice(-10)
    return last.filter(hasFailed).length >= 5 || last.some(({ status }) => status === 401)
  }

  note(room: Room | undefined, text: string): void {
    this.#notes.push({ at: this.now, room: room?.id, text })
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }

  /** What happened to a room (and to everything) between two times (epoch ms). */
  notes(room: Room, from: number, to: number): string[] {
    return this.#notes
      .filter((note) => note.at >= from && note.at <= to && (!note.room || note.room === room.id))
      .map(({ at, text }) => `${time(at)} ${text}`)
  }

  calls(session: Session): Call[] {
    return this.#callsOf.get(session.id) ?? []
  }
}

export const time = (at: number | null | undefined) =>
  at == null || !Number.isFinite(at) ? '-' : new Date(at).toISOString().slice(5, 23)

const hasFailed = ({ status }: Call) => !status || status >= 500 || status === 429
