import type { Room, Session } from '../../src/sandbox/sandbox.ts'

/** What the simulated callers have asked for, as Curfew's answers told it: the oracle's own memory. Times are epoch ms. */

export const MINUTE_MS = 60_000
export const SWEEP_MS = 30_000
// Two clocks need not agree to the second: a session that begins this soon after an ending of its room may be meant.
const CLOCK_DOUBT_MS = 2000

export interface AskedEnding {
  id: string
  by: Party
  /** the id of a session, or the name of a room as a rule spells it */
  of: string
  dueAt: number
  askedAt: number
  isCancelled: boolean
}

export interface AskedHold {
  room: string
  by: Party
  from: number
  /** null: until it is lifted */
  until: number | null
  askedAt: number
  /** the ending that it came with, or what it is about */
  endingId: string | null
  subject: string | null
  liftedAt: number | null
}

export interface AskedRule {
  room: string
  owner: Party
  maxMinutes: number
}

export type Party = 'booking' | 'billing'

/** Something that asks for the end of a session: it may be ended from `dueAt` on, and has to be from `owedAt` on. */
export interface Cause {
  why: string
  dueAt: number
  /** With the time that noticing may take; infinite where it may be ended but need not. */
  owedAt: number
}

/** What somebody did to the ending that a rule has made for a session. */
interface Leave {
  owner: Party
  givenMs: number
  isCancelled: boolean
}

/** The far side tells whole seconds. */
export const toldStart = ({ startTime }: Session) => Math.floor(startTime / 1000) * 1000

export const namesOf = ({ id, friendlyUrl, externalId }: Room) => [id, friendlyUrl, `external:${externalId}`]

export class Asked {
  readonly endings = new Map<string, AskedEnding>()
  readonly holds: AskedHold[] = []
  readonly rules = new Map<string, AskedRule>()
  readonly #endingsOf = new Map<string, AskedEnding[]>()
  readonly #holdsOf = new Map<string, AskedHold[]>()
  readonly #rulesChangedAt = new Map<string, number>()
  readonly #leaves = new Map<string, Leave>()

  ending(ending: AskedEnding): void {
    this.#withdraw(ending.id)
    this.endings.set(ending.id, ending)
    const others = this.#endingsOf.get(ending.of) ?? []
    this.#endingsOf.set(ending.of, [...others, ending])
  }

  /** A key was used again: the ending is another now. */
  #withdraw(id: string): void {
    const old = this.endings.get(id)
    if (old)
      this.#endingsOf.set(
        old.of,
        (this.#endingsOf.get(old.of) ?? []).filter((other) => other !== old),
      )
  }

  hold(hold: AskedHold): void {
    this.holds.push(hold)
    this.#holdsOf.set(hold.room, [...(this.#holdsOf.get(hold.room) ?? []), hold])
  }

  /** Those that `which` is true of, if they are in force or to come. */
  lift(which: (hold: AskedHold) => boolean, now: number): void {
    for (const hold of this.currentHolds(now)) if (which(hold)) hold.liftedAt = now
  }

  currentHolds(now: number): AskedHold[] {
    return this.holds.filter(({ liftedAt, until }) => liftedAt === null && (until === null || until > now))
  }

  /** `live`: the sessions that the change may be about. */
  rule(room: string, rule: AskedRule | undefined, now: number, live: Session[]): void {
    if (rule) this.rules.set(room, rule)
    else this.rules.delete(room)
    this.#rulesChangedAt.set(room, now)
    for (const session of live) {
      const leave = this.#leaves.get(session.id)
      const owner = this.ruleFor(session.room)?.owner
      // A rule of somebody else begins anew; a cancelled ending stays cancelled while it is its owner's rule.
      if (leave && (leave.isCancelled ? owner && owner !== leave.owner : owner !== leave.owner))
        this.#leaves.delete(session.id)
    }
  }

  ruleFor(room: Room): AskedRule | undefined {
    const found = namesOf(room).flatMap((name) => this.rules.get(name) ?? [])
    return found.sort((a, b) => a.maxMinutes - b.maxMinutes)[0]
  }

  /** When a rule for this room was last set or removed. */
  changedAt(room: Room): number {
    return Math.max(...namesOf(room).map((name) => this.#rulesChangedAt.get(name) ?? 0))
  }

  /** When its limit is reached, with the minutes that were given on top. */
  limitOf(session: Session): { dueAt: number; owner: Party } | undefined {
    const rule = this.ruleFor(session.room)
    if (!rule) return undefined
    const leave = this.#leaves.get(session.id)
    if (leave?.isCancelled && leave.owner === rule.owner) return undefined
    const given = leave?.owner === rule.owner ? leave.givenMs : 0
    return { dueAt: toldStart(session) + rule.maxMinutes * MINUTE_MS + given, owner: rule.owner }
  }

  limitMoved(session: Session, owner: Party, dueAt: number | 'cancelled'): void {
    const { maxMinutes } = this.ruleFor(session.room) as AskedRule
    const givenMs = dueAt === 'cancelled' ? 0 : dueAt - toldStart(session) - maxMinutes * MINUTE_MS
    this.#leaves.set(session.id, { owner, givenMs, isCancelled: dueAt === 'cancelled' })
  }

  /** Everything that asks, or has asked and was not taken back, for the end of this session. */
  causes(session: Session, now: number): Cause[] {
    const names = namesOf(session.room)
    return [
      ...this.#endings(session, [session.id, ...names]),
      ...this.#limit(session),
      ...names.flatMap((name) => this.#holdsOf.get(name) ?? []).flatMap((hold) => held(session, hold, now)),
    ]
  }

  #endings(session: Session, names: string[]): Cause[] {
    const asked = names.flatMap((name) => this.#endingsOf.get(name) ?? [])
    return asked.flatMap(({ id, of, dueAt, askedAt, isCancelled }) => {
      if (isCancelled) return []
      const isRoom = of !== session.id
      if (isRoom && toldStart(session) > dueAt + CLOCK_DOUBT_MS) return []
      const isMeant = !isRoom || session.startTime <= dueAt
      return [
        { why: `ending ${id}`, dueAt, owedAt: isMeant ? Math.max(dueAt, askedAt) : Number.POSITIVE_INFINITY },
      ]
    })
  }

  #limit(session: Session): Cause[] {
    const limit = this.limitOf(session)
    if (!limit) return []
    const noticedAt = Math.max(session.startTime, this.changedAt(session.room)) + SWEEP_MS
    return [{ why: 'rule', dueAt: limit.dueAt, owedAt: Math.max(limit.dueAt, noticedAt) }]
  }
}

function held(session: Session, hold: AskedHold, now: number): Cause[] {
  const begins = Math.max(hold.from, hold.askedAt)
  const ends = Math.min(hold.until ?? Number.POSITIVE_INFINITY, hold.liftedAt ?? Number.POSITIVE_INFINITY)
  // What began before it is none of its business, as far as whole seconds tell.
  const mayBeMeant = toldStart(session) >= Math.floor(hold.from / 1000) * 1000
  if (!mayBeMeant || begins >= ends || session.startTime >= ends || begins > now) return []
  const isOwed = now < ends && session.startTime >= hold.from
  const owedAt = isOwed ? Math.max(begins, session.startTime) + SWEEP_MS : Number.POSITIVE_INFINITY
  return [{ why: `hold of ${hold.endingId ?? hold.subject}`, dueAt: begins, owedAt }]
}
