import { EventEmitter } from 'node:events'
import { type Caller, mayChange } from '../../caller.ts'
import { DEFAULT, type RoomNames, type Rule, Rules, type SeenSession } from '../../time-limits/rules.ts'
import type { Warning } from '../../time-limits/warnings.ts'
import { claimChore, requestSweep } from '../chores.ts'
import { translated } from '../engine/errors.ts'
import type { Ledger } from '../ledger.ts'
import type { Db, EndingRow, Engine, HoldRow, SessionRow, TimeLimitRow, Trx, WarningRow } from '../schema.ts'
import { Closures } from './closures.ts'
import { countInForce, findHold, holdOfEnding, isAnyInForce, listHolds } from './holds.ts'
import { allFor, pendingFor, pendingLike, sessionsOf } from './in-force.ts'
import { carryOn, noteChange, unfinishedChanges } from './rule-changes.ts'
import {
  countRules,
  deleteRule,
  findRule,
  isAnyRule,
  listRules,
  type RuleChanged,
  rulesNaming,
  upsertRule,
} from './rules.ts'
import type { Observed } from './session-limits.ts'
import { namesIn } from './session-names.ts'
import { knownSession, observeSessions } from './sessions.ts'
import { roomsToWarn } from './warned-rooms.ts'
import { finishWarning, markWarning, nextWarning, warningsOf } from './warnings.ts'

// As many as somebody on call can take in.
const MOST_HOLDS_SHOWN = 100

/** A rule that was set or removed, and what that has done so far; `trouble` where it is still to be carried through. */
export interface RuleChange {
  changed: RuleChanged
  observed: Observed[]
  trouble?: unknown
}

type Lifted = { hold: HoldRow; takenBack: EndingRow[] } | { obstacle: 'not-found' | 'forbidden' }

/** The part of the ledger that is about time limits: rules, the sessions under them, warnings, and rooms kept closed. */
export class TimeLimitStore {
  readonly #ledger: Ledger
  readonly #db: Db
  readonly #engine: Engine
  readonly #byDefault: Rule | undefined
  readonly #events = new EventEmitter()

  constructor(ledger: Ledger, { db, engine }: { db: Db; engine: Engine }, byDefault: Rule | undefined) {
    this.#ledger = ledger
    this.#db = db
    this.#engine = engine
    this.#byDefault = byDefault
  }

  /** The same on another door to the same ledger. */
  on(ledger: Ledger): TimeLimitStore {
    return new TimeLimitStore(ledger, { db: this.#db, engine: this.#engine }, this.#byDefault)
  }

  /** Tells `listener` that there may be more to look for than before. */
  onChange(listener: () => void): void {
    this.#events.on('change', listener)
  }

  async upsertRule(rule: Rule, caller: Caller) {
    return this.#changeRules((trx, now) => upsertRule(trx, rule, caller, now))
  }

  async deleteRule(room: string, caller: Caller) {
    return this.#changeRules((trx) => deleteRule(trx, room, caller))
  }

  findRule(room: string) {
    return translated(findRule(this.#db, room))
  }

  listRules(after: string | undefined, limit: number) {
    return translated(listRules(this.#db, after, limit))
  }

  /** See `observeSessions`. By the rules as they are now: those from before a call may have been removed meanwhile. */
  async observe(sessions: SeenSession[]): Promise<Observed[]> {
    return this.#announced(
      await this.#ledger.write(async (trx, now) =>
        observeSessions(trx, this.#engine, sessions, await this.#rulesNaming(trx, sessions), now),
      ),
    )
  }

  /** What the configuration's default means for sessions that are known already: it may have changed since. */
  async bringUpToDate(): Promise<void> {
    await this.#ledger.write(async (trx, now) => {
      await requestSweep(trx, now)
      await noteChange(trx, DEFAULT, now)
    })
    await this.finishChanges()
  }

  /** What changes of rules have left to do: whoever began to carry them through was interrupted. */
  async finishChanges(): Promise<Observed[]> {
    const observed: Observed[] = []
    for (const room of await translated(unfinishedChanges(this.#db))) await this.#carryThrough(room, observed)
    return observed
  }

  /** The rule that decides for a session; undefined for none and for the default. */
  async ruleFor(session: SessionRow): Promise<TimeLimitRow | undefined> {
    const names = namesIn(session)
    const rule = (await translated(this.#rulesNaming(this.#db, [names]))).of(names)
    return rule && this.findRule(rule.room)
  }

  /** The holds in force or to come on a session's room. */
  holdsFor(session: SessionRow): Promise<HoldRow[]> {
    const now = this.#ledger.clock.now()
    return translated(listHolds(this.#db, now, undefined, MOST_HOLDS_SHOWN, namesIn(session)))
  }

  /** Whether there is a rule or a hold for which sessions have to be looked for; for the room of a UUID, where one is given. */
  async isNeeded(roomId?: string): Promise<boolean> {
    if (this.#byDefault) return true
    const isHeld = () => isAnyInForce(this.#db, this.#ledger.clock.now(), roomId)
    return translated(isAnyRule(this.#db, roomId).then((isRuled) => isRuled || isHeld()))
  }

  /** How many rules there are, the configuration's default among them, and how many holds are in force. */
  async countInForce(): Promise<{ rules: number; holds: number }> {
    const rules = await translated(countRules(this.#db))
    const holds = await translated(countInForce(this.#db, this.#ledger.clock.now()))
    return { rules: rules + (this.#byDefault ? 1 : 0), holds }
  }

  /** Takes the next sweep, if it is due. Returns when the next one is (epoch ms). */
  claimSweep(everyMs: number): Promise<{ claimed: boolean; nextAt: number }> {
    return this.#ledger.write((trx, now) => claimChore(trx, 'live', now, everyMs))
  }

  /** The next sweep need not wait for its turn. */
  async requestSweep(): Promise<void> {
    await this.#ledger.write((trx, now) => requestSweep(trx, now))
    this.#events.emit('change')
  }

  listHolds(before: string | undefined, limit: number) {
    return translated(listHolds(this.#db, this.#ledger.clock.now(), before, limit))
  }

  holdOfEnding(id: string) {
    return translated(holdOfEnding(this.#db, id))
  }

  /** Opens a room again; by its owner or an operator. `takenBack` are the endings that only this hold has asked for. */
  async liftHold(id: string, caller: Caller): Promise<Lifted> {
    const lifted = await this.#ledger.write<Lifted>(async (trx, now) => {
      const hold = await findHold(trx, id)
      if (!hold) return { obstacle: 'not-found' }
      if (!mayChange(caller, hold.requested_by)) return { obstacle: 'forbidden' }
      const { holds, endings } = await new Closures(trx, now).lift({ id: hold.id }, caller.name)
      return holds[0] ? { hold: holds[0], takenBack: endings } : { obstacle: 'not-found' }
    })
    if ('hold' in lifted) for (const ending of lifted.takenBack) this.#ledger.news.announce(ending)
    return lifted
  }

  nextWarning() {
    return translated(nextWarning(this.#db))
  }

  markWarning() {
    return this.#ledger.write((trx, now) => markWarning(trx, this.#engine, now))
  }

  finishWarning(ending: EndingRow, warning: Warning, result: WarningRow['result']) {
    return this.#ledger.write((trx, now) => finishWarning(trx, ending, warning, result, now))
  }

  /** See `roomsToWarn`: which of the rooms may be told of it. */
  roomsToWarn(ending: EndingRow, warning: Warning, rooms: string[]): Promise<string[]> {
    return this.#ledger.write((trx, now) => roomsToWarn(trx, this.#engine, ending, warning, rooms, now))
  }

  /** The rooms of live sessions that are known by the friendly URL or external id that an ending names. */
  async knownRooms(ending: EndingRow): Promise<string[]> {
    const rows = await translated(sessionsOf(this.#db, ending))
    return [...new Set(rows.flatMap((row) => ('room_id' in row && row.room_id) || []))]
  }

  warningsOf(id: string) {
    return translated(warningsOf(this.#db, id))
  }

  knownSession(id: string): Promise<SessionRow | undefined> {
    return translated(knownSession(this.#db, id))
  }

  /** The pending endings of a session, the one in force first. */
  pendingFor(session: SessionRow | { id: string }): Promise<EndingRow[]> {
    return translated(pendingFor(this.#db, session))
  }

  allFor(session: SessionRow | { id: string }, limit: number): Promise<EndingRow[]> {
    return translated(allFor(this.#db, session, limit))
  }

  /**
   * What is in force now for the sessions that an ending is about: those known, `seen`, and whoever comes to its room.
   * `rehearsed` are endings as they would be, in the place of what the ledger says of them.
   */
  async inForce(
    ending: EndingRow,
    seen?: SessionRow,
    rehearsed: EndingRow[] = [],
  ): Promise<EndingRow | undefined> {
    return translated(
      (async () => {
        const sessions = seen ? [seen] : await sessionsOf(this.#db, ending)
        const pending = await Promise.all([
          pendingLike(this.#db, ending),
          ...sessions.map((session) => pendingFor(this.#db, session)),
        ])
        const others = pending.flat().filter(({ id }) => !rehearsed.some((one) => one.id === id))
        const all = [...others, ...rehearsed.filter(({ state }) => state === 'pending')]
        return all.sort((a, b) => a.due_at - b.due_at || (a.id < b.id ? -1 : 1))[0]
      })(),
    )
  }

  async #rulesNaming(db: Db | Trx, rooms: RoomNames[]): Promise<Rules> {
    const engine = db === this.#db ? undefined : this.#engine
    return new Rules(await rulesNaming(db, rooms, this.#ledger.warnMinutes, engine), this.#byDefault)
  }

  async #changeRules(change: (trx: Trx, now: number) => Promise<RuleChanged>): Promise<RuleChange> {
    const observed: Observed[] = []
    const { isRehearsal } = this.#ledger
    const changed = await this.#ledger.write(async (trx, now) => {
      const result = await change(trx, now)
      if ('rule' in result) {
        await noteChange(trx, result.rule.room, now)
        // Sessions that began before the rule are found by the next sweep, which need not wait for its turn.
        await requestSweep(trx, now)
        // Of a rehearsal nothing is there any more after this transaction.
        for (let isDone = !isRehearsal; !isDone; ) {
          const page = await this.#carryOn(trx, result.rule.room, now)
          observed.push(...page.observed)
          isDone = page.isDone
        }
      }
      return result
    })
    if ('obstacle' in changed || isRehearsal) return { changed, observed }
    // The rule is what was asked for, and it is stored; what it means is taken up again by whoever listens.
    const trouble: unknown = await this.#carryThrough(changed.rule.room, observed).catch((error) => error)
    this.#events.emit('change')
    return { changed, observed, ...(trouble === undefined ? {} : { trouble }) }
  }

  /** To every session that is known to be live in the room, each page with how far that is in a transaction of its own. */
  async #carryThrough(room: string, observed: Observed[]): Promise<void> {
    for (let isDone = false; !isDone; ) {
      const page = await this.#ledger.write((trx, now) => this.#carryOn(trx, room, now))
      observed.push(...this.#announced(page.observed))
      isDone = page.isDone
    }
  }

  #carryOn(trx: Trx, room: string, now: number) {
    return carryOn(trx, this.#engine, room, (sessions) => this.#rulesNaming(trx, sessions.map(namesIn)), now)
  }

  #announced(observed: Observed[]): Observed[] {
    for (const { ending, how } of observed)
      this.#ledger.news.announce(ending, how === 'accepted' ? 'stored' : undefined)
    return observed
  }
}
