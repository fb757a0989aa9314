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

export const PARTIES = ['booking', 'billing', 'desk'] as const
export type Party = (typeof PARTIES)[number]

/** When a rule is to end a session. */
export interface Limit {
  rule: AskedRule
  dueAt: number
}

/** Something that asks for the end of a session: it may be ended from `dueAt` on, and has to be from `owedAt` on. */
export interface Cause {
  why: string
  dueAt: number
  /** With the time that noticing may take; infinite where it may be ended but need not. */
  owedAt: number
}

/** What a party did to the ending that its rules have made for a session. */
interface Leave {
  session: Session
  owner: Party
  givenMs: number
  isCancelled: boolean
}

/** Digital Samba tells whole seconds. */
const toldStart = ({ startTime }: Session) => Math.floor(startTime / 1000) * 1000

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

  rule(room: string, rule: AskedRule | undefined, now: number): void {
    if (rule) this.rules.set(room, rule)
    else this.rules.delete(room)
    this.#rulesChangedAt.set(room, now)
    // What was given is gone with the owner's last rule for the room; what was taken back stays so.
    for (const [name, { session, owner, isCancelled }] of this.#leaves)
      if (!isCancelled && !this.ruleOf(owner, session.room)) this.#leaves.delete(name)
  }

  /** The shortest of a party's rules for a room. */
  ruleOf(owner: Party, room: Room): AskedRule | undefined {
    const found = namesOf(room).flatMap((name) => this.rules.get(name) ?? [])
    return found.filter((rule) => rule.owner === owner).sort((a, b) => a.maxMinutes - b.maxMinutes)[0]
  }

  /** When a rule for this room was last set or removed. */
  changedAt(room: Room): number {
    return Math.max(...namesOf(room).map((name) => this.#rulesChangedAt.get(name) ?? 0))
  }

  /** When the limit of each party is reached, with the minutes that it was given on top. */
  limitsOf(session: Session): Limit[] {
    return PARTIES.flatMap((owner) => {
      const rule = this.ruleOf(owner, session.room)
      const leave = this.#leaves.get(leaveName(session, owner))
      if (!rule || leave?.isCancelled) return []
      return { rule, dueAt: toldStart(session) + rule.maxMinutes * MINUTE_MS + (leave?.givenMs ?? 0) }
    })
  }

  limitMoved(session: Session, { owner, maxMinutes }: AskedRule, dueAt: number | 'cancelled'): void {
    const isCancelled = dueAt === 'cancelled'
    const givenMs = isCancelled ? 0 : dueAt - toldStart(session) - maxMinutes * MINUTE_MS
    this.#leaves.set(leaveName(session, owner), { session, owner, givenMs, isCancelled })
  }

  /** Everything that asks, or has asked and was not taken back, for the end of this session. */
  causes(session: Session, now: number): Cause[] {
    const names = namesOf(session.room)
    return [
      ...this.#endings(session, [session.id, ...names]),
      ...this.#limits(session),
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

  #limits(session: Session): Cause[] {
    const noticedAt = Math.max(session.startTime, this.changedAt(session.room)) + SWEEP_MS
    return this.limitsOf(session).map(({ rule, dueAt }) => ({
      why: `rule of ${rule.owner}`,
      dueAt,
      owedAt: Math.max(dueAt, noticedAt),
    }))
  }
}

const leaveName = ({ id }: Session, owner: Party) => `${id} ${owner}`

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
