import { EventEmitter } from 'node:events'
import { namesOf, type Rule, Rules, type SeenSession } from '../time-limits/rules.ts'
import type { Warning } from '../time-limits/warnings.ts'
import type { Caller } from './endings.ts'
import { translated } from './errors.ts'
import { activeHolds, findHold, holdOfEnding, liftHolds, listHolds, nameOf } from './holds.ts'
import { allFor, pendingFor, pendingLike, sessionsOf } from './in-force.ts'
import type { Ledger } from './ledger.ts'
import type { Db, EndingRow, Engine, HoldRow, SessionRow, TimeLimitRow, Trx, WarningRow } from './schema.ts'
import { applyRules, knownSession, type Noticed, namesIn, noticeSessions } from './sessions.ts'
import { claimSweep, requestSweep } from './sweeps.ts'
import { deleteRule, findRule, listRules, loadRules, putRule, type RuleChanged } from './time-limits.ts'
import { finishWarning, markWarning, nextWarning, warningsOf } from './warnings.ts'

const MOST_HOLDS = 10_000

/** The part of the ledger that is about time limits: rules, the sessions under them, warnings, and rooms kept closed. */
export class Limits {
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

  /** Every rule, for whoever has to find the one for a room. */
  async rules(): Promise<Rules> {
    return translated(this.#rules(this.#db))
  }

  /** Tells `listener` that there may be more to look for than before. */
  onChange(listener: () => void): void {
    this.#events.on('change', listener)
  }

  async putRule(rule: Rule, caller: Caller) {
    return this.#changeRules((trx, now) => putRule(trx, rule, caller, now))
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

  /** See `noticeSessions`. By the rules as they are now: those from before a call may have been removed meanwhile. */
  async notice(sessions: SeenSession[]): Promise<Noticed[]> {
    return this.#announced(
      await this.#ledger.write(async (trx, now) =>
        noticeSessions(trx, sessions, await this.#rules(trx), now),
      ),
    )
  }

  /** What the configuration's default means for sessions that are known already: it may have changed since. */
  async bringUpToDate(): Promise<void> {
    await this.#ledger.write((trx, now) => requestSweep(trx, now))
    await this.#applyRules()
  }

  /** The rule that holds for a session; undefined for none and for the default. */
  async ruleFor(session: SessionRow): Promise<TimeLimitRow | undefined> {
    const rule = (await this.rules()).of(namesIn(session))
    return rule && this.findRule(rule.room)
  }

  /** The holds in force or to come on a session's room. */
  async holdsFor(session: SessionRow): Promise<HoldRow[]> {
    const names = namesOf(namesIn(session))
    const holds = await translated(listHolds(this.#db, this.#ledger.clock.now(), undefined, MOST_HOLDS))
    return holds.filter((hold) => names.includes(nameOf(hold)))
  }

  /** Whether there is a rule or a hold for which sessions have to be looked for. */
  async isNeeded(): Promise<boolean> {
    const [rules, holds] = await Promise.all([this.rules(), this.holds()])
    return rules.any || holds.length > 0
  }

  /** Takes the next sweep, if it is due. Returns when the next one is (epoch ms). */
  claimSweep(everyMs: number): Promise<{ claimed: boolean; nextAt: number }> {
    return this.#ledger.write((trx, now) => claimSweep(trx, now, everyMs))
  }

  /** The next sweep need not wait for its turn. */
  async requestSweep(): Promise<void> {
    await this.#ledger.write((trx, now) => requestSweep(trx, now))
    this.#events.emit('change')
  }

  holds(): Promise<HoldRow[]> {
    return translated(activeHolds(this.#db, this.#ledger.clock.now()))
  }

  listHolds(before: string | undefined, limit: number) {
    return translated(listHolds(this.#db, this.#ledger.clock.now(), before, limit))
  }

  holdOfEnding(id: string) {
    return translated(holdOfEnding(this.#db, id))
  }

  /** Opens a room again; by its owner or an operator. */
  async liftHold(
    id: string,
    caller: Caller,
  ): Promise<{ hold: HoldRow } | { obstacle: 'not-found' | 'forbidden' }> {
    return this.#ledger.write(async (trx, now) => {
      const hold = await findHold(trx, id)
      if (!hold) return { obstacle: 'not-found' }
      if (hold.requested_by !== caller.name && !caller.operator) return { obstacle: 'forbidden' }
      const [lifted] = await liftHolds(trx, { id: hold.id }, caller.name, now)
      return lifted ? { hold: lifted } : { obstacle: 'not-found' }
    })
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

  /** What is in force now for the sessions that an ending is about: those known, `seen`, and whoever comes to its room. */
  async inForce(ending: EndingRow, seen?: SessionRow): Promise<EndingRow | undefined> {
    return translated(
      (async () => {
        const sessions = seen ? [seen] : await sessionsOf(this.#db, ending)
        const pending = await Promise.all([
          pendingLike(this.#db, ending),
          ...sessions.map((session) => pendingFor(this.#db, session)),
        ])
        return pending.flat().sort((a, b) => a.due_at - b.due_at || (a.id < b.id ? -1 : 1))[0]
      })(),
    )
  }

  async #rules(db: Db | Trx): Promise<Rules> {
    return new Rules(await loadRules(db, this.#ledger.warnMinutes), this.#byDefault)
  }

  async #changeRules(
    change: (trx: Trx, now: number) => Promise<RuleChanged>,
  ): Promise<{ changed: RuleChanged; noticed: Noticed[] }> {
    const changed = await this.#ledger.write(async (trx, now) => {
      const result = await change(trx, now)
      // Sessions that began before the rule are found by the next sweep, which need not wait for its turn.
      if ('rule' in result) await requestSweep(trx, now)
      return result
    })
    if ('obstacle' in changed) return { changed, noticed: [] }
    const noticed = await this.#applyRules(changed.rule.room)
    this.#events.emit('change')
    return { changed, noticed }
  }

  /** To every session that is known to be live. Cut short by a crash, it is done by the start after it. */
  async #applyRules(room?: string): Promise<Noticed[]> {
    const noticed: Noticed[] = []
    let after: string | undefined
    do {
      const page = await this.#ledger.write(async (trx, now) =>
        applyRules(trx, await this.#rules(trx), now, { room, after }),
      )
      noticed.push(...this.#announced(page.noticed))
      after = page.next
    } while (after !== undefined)
    return noticed
  }

  #announced(noticed: Noticed[]): Noticed[] {
    for (const { ending } of noticed) this.#ledger.announce(ending)
    return noticed
  }
}
