import { EventEmitter } from 'node:events'
import type { Caller } from '../caller.ts'
import type { Clock } from '../clock.ts'
import type { Instruction } from '../ending.ts'
import type { EventMeaning } from '../events/meaning.ts'
import { callsSince, endRefusal, loadControl, setControl } from './control.ts'
import { backlog } from './endings/backlog.ts'
import { changesOf } from './endings/change-log.ts'
import {
  type Call,
  type ClaimOptions,
  claimEndings,
  clearClaims,
  firstDue,
  nextAttemptAt,
  recordAttempt,
  type Transition,
} from './endings/claims.ts'
import {
  claimConfirmation,
  nextConfirmation,
  postponeConfirmation,
  reopen,
  sessionSeenOver,
} from './endings/confirmations.ts'
import {
  attemptsOf,
  cancelEnding,
  findEnding,
  finishedAmong,
  type Move,
  moveEnding,
  type Obstacle,
  retryEnding,
} from './endings/endings.ts'
import { hastenRetries } from './endings/hasten.ts'
import { type IdempotentRequest, withIdempotency } from './endings/idempotency.ts'
import { type EndingFilter, type EndingPage, pageOfEndings } from './endings/pages.ts'
import type { Stored } from './endings/replacements.ts'
import { type Starter, Starts } from './endings/starts.ts'
import { recordSuccesses } from './endings/successes.ts'
import { type Upsert, upsertEndings, upserts } from './endings/upserts.ts'
import type { OpenDatabase } from './engine/database.ts'
import { InProgressError, isUniqueViolation, translated } from './engine/errors.ts'
import { type Batched, type CommitOptions, GroupCommit } from './engine/group-commit.ts'
import { applyEvents, type EventResult } from './events/events.ts'
import { PRUNING } from './prune.ts'
import type { ControlTable, Db, EndingRow, Engine, Trx } from './schema.ts'

// An attempt takes seconds at most where Digital Samba answers; whoever sent the events can wait for that.
const WAIT_FOR_PROGRESS_MS = 5_000
const LOOK_AGAIN_MS = 50
// Somebody who replaces what he has just asked for waits for one call at most.
const SOON_MS = 2_000
const CHANGED = new Error('something has changed')

const CLAIMS: Batched<{ limit: number; now: number; until: number; options: ClaimOptions }, EndingRow[]> = {
  run: async (trx, all) => {
    const claimed: EndingRow[][] = []
    for (const { limit, now, until, options } of all)
      claimed.push(await claimEndings(trx, limit, now, until, options))
    return claimed
  },
  isOneStatement: (all) => all.length === 1,
}

/** What became of a request to store or change an ending. */
export type Answer =
  | { ending: EndingRow; replayed?: boolean; replaced?: boolean; takenBack?: EndingRow[] }
  | { obstacle: Obstacle | 'idempotency-mismatch' }

/**
 * The ledger: every ending, who asked for it, and what was tried. Each method is one transaction, durable when it
 * resolves; trouble with the database itself rejects with StorageError.
 */
export class Ledger {
  readonly clock: Clock
  /** when people are warned of an end that does not say so itself */
  readonly warnMinutes: number[]
  readonly #db: Db
  readonly #engine: Engine
  readonly #commits: GroupCommit
  readonly #upserts: Batched<Upsert, Stored>
  #starter: Starter | undefined
  readonly #events = new EventEmitter().setMaxListeners(0)

  constructor(
    { db, engine, clock, verify }: OpenDatabase,
    { warnMinutes = [] }: { warnMinutes?: number[] } = {},
  ) {
    this.warnMinutes = warnMinutes
    this.#db = db
    this.#engine = engine
    this.clock = clock
    this.#commits = new GroupCommit(db, verify)
    this.#upserts = upserts(clock, warnMinutes)
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
    return this.#inProgressWaited(instruction.requestedBy, this.#starter ? SOON_MS : 0, async (starts) => {
      const claimedUntil = starts.claimFor(instruction)
      const upsert = { instruction, claimedUntil }
      const answer = request
        ? await this.write((trx, now) =>
            withIdempotency(trx, request, now, async () =>
              first(await upsertEndings(trx, [upsert], now, this.warnMinutes)),
            ),
          )
        : await translated(this.#commits.add(this.#upserts, upsert))
      if ('ending' in answer && !('replayed' in answer)) starts.begin(answer.ending)
      if ('obstacle' in answer && answer.obstacle === 'in-progress') return undefined
      return this.#announced(answer)
    }).then((answer) => answer ?? { obstacle: 'in-progress' })
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

  async list(filter: EndingFilter, limit: number): Promise<EndingRow[]> {
    return (await this.page(filter, limit)).endings
  }

  backlog() {
    return translated(backlog(this.#db, this.clock.now()))
  }

  /** See `claimEndings`. */
  claim(limit: number, leaseMs: number, options: ClaimOptions = {}): Promise<EndingRow[]> {
    const now = this.clock.now()
    return translated(this.#commits.add(CLAIMS, { limit, now, until: now + leaseMs, options }))
  }

  /** What waits for another attempt is tried now. Returns how many endings that were. */
  async hastenRetries(): Promise<number> {
    const at = this.clock.now()
    let count = 0
    for (let isMore = true; isMore; ) {
      const { hastened, more } = await this.write((trx) => hastenRetries(trx, at))
      if (hastened > 0) this.#events.emit('work', at)
      count += hastened
      isMore = more
    }
    return count
  }

  firstDue() {
    return translated(firstDue(this.#db, this.clock.now()))
  }

  nextAttemptAt() {
    return translated(nextAttemptAt(this.#db))
  }

  /** Writes down what an attempt came to: undefined where the report came too late to change the ending. */
  async record(claimed: EndingRow, calls: Call[], transition: Transition): Promise<EndingRow | undefined> {
    const isSuccess = transition.to === 'ended' && transition.outcome === 'ended'
    const ending = isSuccess
      ? await translated(this.#commits.add(recordSuccesses, { claimed, calls, now: this.clock.now() }))
      : await this.write((trx, now) => recordAttempt(trx, claimed, calls, transition, now), {
          order: claimed.id,
        })
    if (ending) this.announce(ending)
    return ending
  }

  /**
   * Carries out one sender's events in one transaction; what they change is changed together or not at all.
   * `in-progress` where an ending that they are about was being carried out all the while.
   */
  async events(sender: string, events: EventMeaning[]): Promise<EventResult[] | { obstacle: 'in-progress' }> {
    // Of several, a later one may take back what an earlier one asks for.
    const isAlone = events.length === 1
    const results = await this.#inProgressWaited(sender, WAIT_FOR_PROGRESS_MS, async (starts) => {
      const claimFor = isAlone ? (one: Instruction) => starts.claimFor(one) : undefined
      const all = await this.write(
        (trx, now) => applyEvents(trx, this.#engine, sender, events, now, this.warnMinutes, claimFor),
        { isLong: !isAlone },
      ).catch(unlessInProgress)
      for (const { ending } of all?.flatMap((result) => result.changed) ?? []) {
        starts.begin(ending)
        this.announce(ending)
      }
      return all
    })
    return results ?? { obstacle: 'in-progress' }
  }

  /** Tries until it is done, for as long (ms) as an ending of that party that it is about is being carried out. */
  async #inProgressWaited<T>(
    party: string,
    mostMs: number,
    attempt: (starts: Starts) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const until = this.clock.now() + mostMs
    for (;;) {
      const starts = new Starts(this.#starter, this.clock)
      // Before the attempt, so that what changes right after it is not missed.
      let changed = false
      const onChange = () => {
        changed = true
      }
      this.#events.once(`changed:${party}`, onChange)
      try {
        const done = await attempt(starts)
        if (done !== undefined) return done
      } finally {
        starts.giveBack()
        this.#events.off(`changed:${party}`, onChange)
      }
      if (this.clock.now() >= until) return undefined
      if (!changed) await this.#nextChange(party)
    }
  }

  /** Resolves when an ending of that party is changed by this process, or in a moment: another replica's may be. */
  async #nextChange(party: string): Promise<void> {
    const over = new AbortController()
    const onChange = () => over.abort(CHANGED)
    this.#events.once(`changed:${party}`, onChange)
    await this.clock.sleep(LOOK_AGAIN_MS, over.signal)
    this.#events.off(`changed:${party}`, onChange)
  }

  /** `session` was seen not to be live. Returns the endings that are confirmed or over by it. */
  async sessionSeenOver(session: string): Promise<EndingRow[]> {
    const changed = await this.write((trx, now) => sessionSeenOver(trx, session.toLowerCase(), now))
    for (const ending of changed) this.announce(ending)
    return changed
  }

  nextConfirmation() {
    return translated(nextConfirmation(this.#db))
  }

  claimConfirmation(leaseMs: number) {
    return this.write((trx, now) => claimConfirmation(trx, now, now + leaseMs))
  }

  postponeConfirmation(id: string, at: number | null) {
    return this.write((trx) => postponeConfirmation(trx, id, at))
  }

  /** See `reopen`: undefined where it is confirmed by now, or was reopened often enough. */
  async reopen(seen: EndingRow): Promise<EndingRow | undefined> {
    const ending = await this.write((trx, now) => reopen(trx, seen, now))
    if (ending) this.announce(ending)
    return ending
  }

  /** Only for SQLite, where this process is the only one: frees what a predecessor held when it died. */
  clearClaims(): Promise<number> {
    return this.#engine === 'sqlite' ? this.write((trx) => clearClaims(trx)) : Promise.resolve(0)
  }

  control() {
    return translated(loadControl(this.#db))
  }

  setControl(control: ControlTable) {
    return this.write((trx) => setControl(trx, control))
  }

  endRefusal() {
    return this.write((trx, now) => endRefusal(trx, now))
  }

  callsSince(since: number) {
    return translated(callsSince(this.#db, since))
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

  /** Tells `listener` when (epoch ms) an ending that was stored or changed is to be looked at. Returns how to stop it. */
  onWork(listener: (at: number) => void): () => void {
    this.#events.on('work', listener)
    return () => void this.#events.off('work', listener)
  }

  /** Tells `listener` of each ending that this process has seen finish. */
  onFinished(listener: (ending: EndingRow) => void): void {
    this.#events.on('finished', listener)
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

  #announced(answer: Answer): Answer {
    if ('ending' in answer)
      for (const ending of [answer.ending, ...(answer.takenBack ?? [])]) this.announce(ending)
    return answer
  }

  /** Tells `listener` when (epoch ms) the next warning of an ending is due. Returns how to stop it. */
  onWarning(listener: (at: number) => void): () => void {
    this.#events.on('warning', listener)
    return () => void this.#events.off('warning', listener)
  }

  /** Tells `listener` when (epoch ms) the session of an ending is to be looked up. Returns how to stop it. */
  onUnconfirmed(listener: (at: number) => void): () => void {
    this.#events.on('unconfirmed', listener)
    return () => void this.#events.off('unconfirmed', listener)
  }

  /** Tells whoever waits for it that an ending was stored or changed. */
  announce(ending: EndingRow): void {
    this.#events.emit(`changed:${ending.requested_by}`)
    if (ending.warn_at !== null) this.#events.emit('warning', ending.warn_at)
    if (ending.confirm_at !== null) this.#events.emit('unconfirmed', ending.confirm_at)
    if (ending.state === 'pending') {
      // Whoever has claimed it carries it out.
      if (ending.claimed_until === null) this.#events.emit('work', ending.next_attempt_at)
    } else this.#events.emit('finished', ending)
  }

  /** One transaction, shared with what arrives at the same time; for the parts of the ledger that have their own files. */
  write<T>(work: (trx: Trx, now: number) => Promise<T>, options?: CommitOptions): Promise<T> {
    return translated(this.#commits.run((trx) => work(trx, this.clock.now()), options))
  }
}

function unlessInProgress(error: unknown): undefined {
  if (!(error instanceof InProgressError)) throw error
}

function first([answer]: Stored[]): Stored {
  return answer as Stored
}
