import type { Caller } from '../caller.ts'
import type { Clock } from '../clock.ts'
import type { Instruction } from '../ending.ts'
import type { KnownEvent } from '../events/fold.ts'
import { claimChore } from './chores.ts'
import { endRefusal, loadControl, setControl, takeProbe } from './control.ts'
import { attemptsOf, type Call } from './endings/attempts.ts'
import { backlog } from './endings/backlog.ts'
import { changesOf } from './endings/change-log.ts'
import {
  type ClaimOptions,
  claimEndings,
  clearClaims,
  firstDue,
  nextAttemptAt,
  renewClaims,
} from './endings/claims.ts'
import {
  claimConfirmations,
  nextConfirmation,
  postponeConfirmation,
  reopenOrForget,
  sessionSeenOver,
} from './endings/confirmations.ts'
import { findEnding, finishedAmong } from './endings/endings.ts'
import { tellOfFinished } from './endings/finished-elsewhere.ts'
import { hastenRetries } from './endings/hasten.ts'
import { type IdempotentRequest, withIdempotency } from './endings/idempotency.ts'
import { News, type WhatIsNew } from './endings/news.ts'
import { cancelEnding, type Move, moveEnding, type Obstacle, retryEnding } from './endings/owner-changes.ts'
import { type EndingFilter, type EndingPage, pageOfEndings } from './endings/pages.ts'
import type { Stored } from './endings/replacements.ts'
import { type Starter, withStarts } from './endings/starts.ts'
import { type Success, successes } from './endings/successes.ts'
import { recordAttempt, type Transition } from './endings/transitions.ts'
import { type Place, pageOfUpcoming, type UpcomingPage } from './endings/upcoming.ts'
import { type Upsert, upsertEndings, upserts } from './endings/upserts.ts'
import { InProgressError, isUniqueViolation, onceMoreAfterDeadlock, translated } from './engine/errors.ts'
import { type Batched, type CommitOptions, type Commits, GroupCommit } from './engine/group-commit.ts'
import type { OpenDatabase } from './engine/open-database.ts'
import { Rehearsed } from './engine/rehearsed.ts'
import type { Signals } from './engine/signals.ts'
import { applyEvents, type EventResult } from './events/events.ts'
import { tellOf } from './notifications/outbox.ts'
import { endPause, isCalling, loadPauses, setPause } from './pauses.ts'
import { Permits, preparePermits } from './permits.ts'
import { PRUNING } from './prune.ts'
import type { ControlTable, Db, EndingRow, Engine, PausesTable, PermitKind, Trx } from './schema.ts'
import { countIn } from './statistics/counting.ts'
import { type Point, pointsBetween, type Step } from './statistics/points.ts'

// An attempt takes seconds at most where Digital Samba answers; whoever sent the events can wait for that.
const WAIT_FOR_PROGRESS_MS = 5_000
// Somebody who replaces what he has just asked for waits for one call at most.
const SOON_MS = 2_000

const CLAIMS: Batched<{ limit: number; now: number; until: number; options: ClaimOptions }, EndingRow[]> = {
  run: async (trx, all) => {
    const claimed: EndingRow[][] = []
    for (const { limit, now, until, options } of all)
      claimed.push(await claimEndings(trx, limit, now, until, options))
    return claimed
  },
  isOneStatement: ([first, ...others]) =>
    others.length === 0 && first?.options.turns === undefined && !first?.options.paused?.length,
  isVolatile: true,
}

/** What became of a request to store or change an ending. */
export type Answer =
  | { ending: EndingRow; replayed?: boolean; replaced?: boolean; takenBack?: EndingRow[] }
  | { obstacle: Obstacle | 'idempotency-mismatch' }

interface LedgerOptions {
  /** when people are warned of an end that does not say so itself */
  warnMinutes?: number[]
  /** Whose endings are told of, by what is written into the outbox. */
  told?: ReadonlySet<string>
  /** Whatever it is asked to write it answers as it would, and writes nothing; nobody hears of it. */
  isRehearsal?: boolean
}

// So that who replaces what is under way waits in a rehearsal as well, and is answered the same.
const NO_PLACE: Starter = { reserve: () => undefined }

/**
 * The ledger: every ending, who asked for it, and what was tried. Each method is one transaction, durable when it
 * resolves; trouble with the database itself rejects with StorageError.
 */
export class Ledger {
  readonly clock: Clock
  /** who is told of what has changed */
  readonly news: News
  /** when people are warned of an end that does not say so itself */
  readonly warnMinutes: number[]
  /** what other processes on the same ledger tell this one */
  readonly signals: Signals
  /** whether nothing of what is written stays */
  readonly isRehearsal: boolean
  readonly #db: Db
  readonly #writes: Db
  readonly #leases: Db
  readonly #engine: Engine
  readonly #commits: Commits
  /** On PostgreSQL, what was carried out is written down beside what is stored, and neither waits for the other. */
  readonly #results: Commits
  readonly #aside: Commits
  readonly #deliveries: Db
  readonly #upserts: Batched<Upsert, Stored>
  readonly #successes: Batched<Success, EndingRow | undefined>
  #starter: Starter | undefined

  constructor(
    { db, writes, results, leases, deliveries, signals, engine, clock, ...disk }: OpenDatabase,
    { warnMinutes = [], told = new Set(), isRehearsal = false }: LedgerOptions = {},
  ) {
    this.warnMinutes = warnMinutes
    this.signals = signals
    this.isRehearsal = isRehearsal
    this.#db = db
    this.#writes = writes
    this.#leases = leases
    this.#deliveries = deliveries
    this.#engine = engine
    this.clock = clock
    this.news = new News(clock)
    if (!isRehearsal) tellOfFinished(this.news, signals, clock)
    this.#commits = isRehearsal ? new Rehearsed(db, disk.verify) : new GroupCommit(writes, disk)
    // SQLite has one connection, on which all share commits.
    this.#results = isRehearsal || results === writes ? this.#commits : new GroupCommit(results)
    this.#aside = deliveries === writes ? this.#commits : new GroupCommit(deliveries)
    if (isRehearsal) this.#starter = NO_PLACE
    this.#upserts = upserts(clock, warnMinutes)
    this.#successes = successes((caller) => told.has(caller))
    // What is rehearsed writes what it would, and goes through the same connections.
    if (isRehearsal) return
    for (const each of new Set([db, writes, results])) tellOf(each, told)
    // Each counts in rows of its own, so that neither waits for the other's.
    for (const each of new Set([writes, results])) countIn(each)
  }

  /** Whether other processes may work on the same ledger. */
  get isShared(): boolean {
    return this.#engine === 'postgres'
  }

  /** From now on, what is due when it is stored may be begun at once: see `Starter`. */
  startWith(starter: Starter): void {
    this.#starter = starter
  }

  /**
   * Stores an ending, or replaces the pending one of the same party and key; where that one is being carried out, it
   * waits a moment for it.
   */
  async store(instruction: Instruction, request?: IdempotentRequest): Promise<Answer> {
    const answer = await this.news.whileInProgress(instruction.requestedBy, this.#starter ? SOON_MS : 0, () =>
      withStarts(this.#starter, this.clock, async (starts) => {
        const upsert = { instruction, claimedUntil: starts.claimFor(instruction) }
        const stored = request
          ? await this.#storeOnce(upsert, request)
          : await translated(this.#commits.add(this.#upserts, upsert))
        if ('obstacle' in stored) return stored.obstacle === 'in-progress' ? undefined : stored
        if (!('replayed' in stored)) starts.begin(stored.ending)
        return this.#announced(stored, 'replaced' in stored && stored.replaced ? undefined : 'stored')
      }),
    )
    return answer ?? { obstacle: 'in-progress' }
  }

  #storeOnce(upsert: Upsert, request: IdempotentRequest) {
    return this.write((trx, now) =>
      withIdempotency(trx, request, now, async () =>
        first(await upsertEndings(trx, [upsert], now, this.warnMinutes)),
      ),
    )
  }

  move(id: string, caller: Caller, to: Move, request?: IdempotentRequest): Promise<Answer> {
    return this.#change(request, (trx, now) => moveEnding(trx, id, caller, to, now), id)
  }

  cancel(id: string, caller: Caller, request?: IdempotentRequest): Promise<Answer> {
    return this.#change(request, (trx, now) => cancelEnding(trx, id, caller, now), id)
  }

  async retry(id: string, caller: Caller, request?: IdempotentRequest): Promise<Answer> {
    try {
      return await this.#change(request, (trx, now) => retryEnding(trx, id, caller, now), id)
    } catch (error) {
      if (isUniqueViolation(error)) return { obstacle: 'key-taken' }
      throw error
    }
  }

  find(id: string): Promise<EndingRow | undefined> {
    return translated(findEnding(this.#db, id))
  }

  attempts(id: string) {
    return translated(attemptsOf(this.#db, id))
  }

  changes(id: string) {
    return translated(changesOf(this.#db, id))
  }

  page(filter: EndingFilter, limit: number): Promise<EndingPage> {
    return translated(pageOfEndings(this.#db, filter, limit))
  }

  /** See `pageOfUpcoming`. */
  upcoming(filter: EndingFilter, limit: number, behind?: Place): Promise<UpcomingPage> {
    return translated(pageOfUpcoming(this.#db, filter, limit, behind))
  }

  async list(filter: EndingFilter, limit: number): Promise<EndingRow[]> {
    return (await this.page(filter, limit)).endings
  }

  backlog() {
    return translated(backlog(this.#db, this.clock.now()))
  }

  /** See `claimEndings`. */
  claim(limit: number, leaseMs: number, options: ClaimOptions = {}): Promise<EndingRow[]> {
    const now = this.clock.now()
    const claim = { limit, now, until: now + leaseMs, options }
    return onceMoreAfterDeadlock(() => translated(this.#commits.add(CLAIMS, claim)))
  }

  /** See `renewClaims`. It has a connection of its own, so that it waits for no other write. */
  renew(held: Array<Pick<EndingRow, 'id' | 'claim'>>, until: number): Promise<Set<string>> {
    return translated(renewClaims(this.#leases, held, until))
  }

  /** What waits for another attempt is tried now. Returns how many endings that were. */
  async hastenRetries(): Promise<number> {
    const at = this.clock.now()
    let count = 0
    for (let isMore = true; isMore; ) {
      const { hastened, more } = await this.write((trx) => hastenRetries(trx, at))
      if (hastened > 0) this.news.work(at)
      count += hastened
      isMore = more
    }
    return count
  }

  firstDue(paused: string[] = []) {
    return translated(firstDue(this.#db, this.clock.now(), paused))
  }

  nextAttemptAt(paused: string[] = []) {
    return translated(nextAttemptAt(this.#db, this.clock.now(), paused))
  }

  /** Writes down what an attempt came to: undefined where the report came too late to change the ending. */
  async record(claimed: EndingRow, calls: Call[], transition: Transition): Promise<EndingRow | undefined> {
    const isSuccess = transition.to === 'ended' && transition.outcome === 'ended'
    const ending = isSuccess
      ? await translated(this.#results.add(this.#successes, { claimed, calls, now: this.clock.now() }))
      : await this.write((trx, now) => recordAttempt(trx, claimed, calls, transition, now), {
          order: claimed.id,
        })
    if (ending) this.news.announce(ending)
    return ending
  }

  /**
   * Carries out one sender's events in one transaction; what they change is changed together or not at all.
   * `in-progress` where an ending that they are about was being carried out all the while.
   */
  async events(sender: string, events: KnownEvent[]): Promise<EventResult[] | { obstacle: 'in-progress' }> {
    // Of several, a later one may take back what an earlier one asks for.
    const isAlone = events.length === 1
    const results = await this.news.whileInProgress(sender, WAIT_FOR_PROGRESS_MS, () =>
      withStarts(this.#starter, this.clock, async (starts) => {
        const claimFor = isAlone ? (one: Instruction) => starts.claimFor(one) : undefined
        const all = await this.write(
          (trx, now) => applyEvents(trx, this.#engine, sender, events, now, this.warnMinutes, claimFor),
          { isLong: !isAlone },
        ).catch(unlessInProgress)
        for (const { ending, how } of all?.flatMap((result) => result.changed) ?? []) {
          starts.begin(ending)
          this.news.announce(ending, how === 'accepted' ? 'stored' : undefined)
        }
        return all
      }),
    )
    return results ?? { obstacle: 'in-progress' }
  }

  /** `session` was seen not to be live. Returns the endings that are confirmed or over by it. */
  async sessionSeenOver(session: string): Promise<EndingRow[]> {
    // Behind the success that it confirms: what is not committed yet would not be confirmed by it.
    const { confirmed, finished } = await translated(
      this.#results.run((trx) => sessionSeenOver(trx, session.toLowerCase(), this.clock.now())),
    )
    for (const ending of confirmed) this.news.announce(ending, 'known')
    for (const ending of finished) this.news.announce(ending)
    return [...confirmed, ...finished]
  }

  nextConfirmation() {
    return translated(nextConfirmation(this.#db))
  }

  claimConfirmations(limit: number, leaseMs: number) {
    return this.write((trx, now) => claimConfirmations(trx, limit, now, now + leaseMs), { isVolatile: true })
  }

  postponeConfirmation(id: string, at: number | null) {
    return this.write((trx) => postponeConfirmation(trx, id, at))
  }

  /** See `reopenOrForget`: undefined where it is confirmed by now, or was reopened often enough. */
  async reopen(seen: EndingRow): Promise<EndingRow | undefined> {
    const ending = await this.write((trx, now) => reopenOrForget(trx, seen, now))
    if (ending) this.news.announce(ending)
    return ending
  }

  /** Only for SQLite, where this process is the only one: frees what a predecessor held when it died. */
  clearClaims(): Promise<number> {
    return this.#engine === 'sqlite' ? this.write((trx) => clearClaims(trx)) : Promise.resolve(0)
  }

  control() {
    return translated(loadControl(this.#db))
  }

  async setControl(control: ControlTable): Promise<void> {
    await this.write((trx) => setControl(trx, control))
    this.signals.send({ is: 'control' })
  }

  /** See `takeProbe`. */
  takeProbe(until: number): Promise<boolean> {
    return this.write((trx, now) => takeProbe(trx, now, until))
  }

  async endRefusal(): Promise<void> {
    await this.write((trx, now) => endRefusal(trx, now))
    this.signals.send({ is: 'control' })
  }

  /** What operators have stopped. */
  pauses(): Promise<PausesTable[]> {
    return translated(loadPauses(this.#db))
  }

  /** See `setPause`. */
  async pause(pause: Omit<PausesTable, 'since'>): Promise<PausesTable> {
    const set = await this.write((trx, now) => setPause(trx, { ...pause, since: now }))
    this.signals.send({ is: 'control' })
    return set
  }

  /** See `endPause`. */
  async resume(caller: string): Promise<PausesTable | undefined> {
    const ended = await this.write((trx, now) => endPause(trx, caller, now))
    this.signals.send({ is: 'control' })
    return ended
  }

  /** See `isCalling`. */
  isCalling(caller: string, windowMs: number): Promise<boolean> {
    return translated(isCalling(this.#db, caller, this.clock.now(), windowMs))
  }

  /** The call budget that all processes on this ledger share: so many permits of each kind. */
  async permits(counts: Record<PermitKind, number>): Promise<Permits> {
    await this.write(async (trx, now) => {
      for (const [kind, below] of Object.entries(counts) as Array<[PermitKind, number]>)
        await preparePermits(trx, { kind, below }, now)
    })
    return new Permits(this.#writes, this.clock, counts)
  }

  /** Whether this process is the one that prunes, and when (epoch ms) it is time for that again. */
  claimPruning(everyMs: number): Promise<{ claimed: boolean; nextAt: number }> {
    return this.write((trx, now) => claimChore(trx, 'pruning', now, everyMs))
  }

  /**
   * Removes a small batch of each table of what finished before `before` (epoch ms); whether there may be more. Each is
   * a transaction of its own, with a `rest` after those that had something to remove.
   */
  async prune(before: number, rest: (tookMs: number) => Promise<void> = async () => {}): Promise<boolean> {
    let isMore = false
    for (const { step, atOnce } of PRUNING) {
      const began = performance.now()
      const removed = await this.write((trx, now) => step(trx, this.#engine, before, now))
      isMore ||= removed >= atOnce
      if (removed > 0) await rest(performance.now() - began)
    }
    return isMore
  }

  /** Proves that the ledger can store: a full disk or a database turned read-only shows only in a write. */
  async probe(): Promise<void> {
    await this.write((trx, now) =>
      trx
        .insertInto('idempotency_keys')
        .values({ caller: 'curfew', key: 'probe', fingerprint: '', ending_id: '', created_at: now })
        .onConflict((conflict) => conflict.columns(['caller', 'key']).doUpdateSet({ created_at: now }))
        .execute(),
    )
  }

  /** See `pointsBetween`. */
  statistics(step: Step, from: number, to: number): Promise<Point[]> {
    return translated(pointsBetween(this.#db, step, from, to))
  }

  /** Those of the endings that are over. */
  finishedAmong(ids: string[]): Promise<EndingRow[]> {
    return translated(finishedAmong(this.#db, ids))
  }

  async #change(
    request: IdempotentRequest | undefined,
    work: (trx: Trx, now: number) => Promise<Answer>,
    id = '',
  ): Promise<Answer> {
    const once = (trx: Trx, now: number) => withIdempotency(trx, request, now, () => work(trx, now))
    return this.#announced(await this.write(once, { order: id.toLowerCase() }))
  }

  #announced(answer: Answer, what?: WhatIsNew): Answer {
    if ('obstacle' in answer) return answer
    this.news.announce(answer.ending, answer.replayed ? 'known' : what)
    for (const ending of answer.takenBack ?? []) this.news.announce(ending)
    return answer
  }

  /** For the parts of the ledger that have their own files. */
  read<T>(work: (db: Db, now: number) => Promise<T>): Promise<T> {
    return translated(work(this.#db, this.clock.now()))
  }

  /** One transaction, shared with what arrives at the same time; for the parts of the ledger that have their own files. */
  write<T>(work: (trx: Trx, now: number) => Promise<T>, options?: CommitOptions): Promise<T> {
    return translated(this.#commits.run((trx) => work(trx, this.clock.now()), options))
  }

  /** See `writeAside`. */
  readAside<T>(work: (db: Db, now: number) => Promise<T>): Promise<T> {
    return translated(work(this.#deliveries, this.clock.now()))
  }

  /** See `writeAside`. */
  addAside<I, O>(work: Batched<I, O>, item: I): Promise<O> {
    return translated(this.#aside.add(work, item))
  }

  /** The same beside all that ends sessions: on PostgreSQL neither waits for the other. */
  writeAside<T>(work: (trx: Trx, now: number) => Promise<T>, options?: CommitOptions): Promise<T> {
    return translated(this.#aside.run((trx) => work(trx, this.clock.now()), options))
  }
}

function unlessInProgress(error: unknown): undefined {
  if (!(error instanceof InProgressError)) throw error
}

function first([answer]: Stored[]): Stored {
  return answer as Stored
}
