import type { Logger } from 'pino'
import { type Permit, type Priority, RANK } from '../calls/budget.ts'
import type { CallGate } from '../calls/gate.ts'
import { type Clock, sleepUntil } from '../clock.ts'
import type { DigitalSamba } from '../digital-samba/client.ts'
import { logSeenOver } from '../ending-log.ts'
import type { Start, Starter } from '../storage/endings/starts.ts'
import type { Ledger } from '../storage/ledger.ts'
import type { EndingRow } from '../storage/schema.ts'
import { type AttemptReport, attempt } from './attempt.ts'
import type { SharedListing } from './listing.ts'
import { logAttempt } from './log.ts'
import { transitionFor } from './transition.ts'

export interface WorkerOptions {
  ledger: Ledger
  digitalSamba: DigitalSamba
  gate: CallGate
  listing: SharedListing
  log: Logger
  maxConcurrent: number
  /** ms */
  retryForMs: number
  /** for one call, ms */
  callTimeoutMs: number
  random?: () => number
}

// One attempt may make several calls and wait for budget before each; beyond this it is given back and begun anew.
const LONGEST_ATTEMPT_MS = 120_000
// A claim must outlast the attempt, the call that is on its way when it is cut short, and the writing down.
const LEASE_MARGIN_MS = 30_000
// Only a safety net: work that this process accepts wakes it, and so does the clock.
const LOOK_AGAIN_MS = 10_000
const AFTER_TROUBLE_MS = 1000
// While every slot is taken: one whose attempt waits for the budget is an urgent ending's.
const BLOCKED_LOOK_MS = 1000
const TOO_LONG = new Error('too long')

// Making an AbortSignal's own reason costs as much as a statement, for its stack is taken down.
const WOKEN = new Error('woken')
const DONE = new Error('done')
const CUT_SHORT = new Error('cut short')

/**
 * Carries endings out: sleeps until the next is due, claims as many as there are slots and budget for, attempts them.
 * What is due when it is stored, it begins without looking for it.
 */
export class Worker implements Starter {
  readonly #options: WorkerOptions
  readonly #clock: Clock
  readonly #random: () => number
  /** Slots that are taken: by an attempt until its last call is over, or by what is about to be stored. */
  readonly #running = new Set<Promise<void>>()
  /** Attempts that are not written down yet. */
  readonly #unfinished = new Set<Promise<void>>()
  /** How many of those wait for the call budget, and make no call meanwhile. */
  #blocked = 0
  /** Aborts when the worker is to begin nothing more. */
  readonly #stopping = new AbortController()
  /** What is running, each to be cut short by itself or with all others. */
  readonly #cuts = new Set<AbortController>()
  #isCutting = false
  #wake = new AbortController()
  /** Work for later than this (epoch ms) need not wake it: it is up by then. */
  #sleepsUntil = Number.POSITIVE_INFINITY
  #loop: Promise<void> | undefined

  constructor(options: WorkerOptions) {
    this.#options = options
    this.#clock = options.ledger.clock
    this.#random = options.random ?? Math.random
  }

  start(): void {
    const { ledger, gate } = this.#options
    const stopListening = ledger.onWork((at) => {
      gate.endsDueAt = Math.min(gate.endsDueAt, at)
      if (at <= this.#clock.now() || at < this.#sleepsUntil) this.#wakeUp()
    })
    ledger.startWith(this)
    this.#loop = this.#run().finally(stopListening)
  }

  /** A slot and a call for what is due when it is stored; none where something else may be due before it. */
  reserve(): Start | undefined {
    const isIdle = this.#clock.now() < this.#sleepsUntil && Number.isFinite(this.#sleepsUntil)
    if (!isIdle || this.#wake.signal.aborted || this.#stopping.signal.aborted) return undefined
    if (this.#running.size >= this.#options.maxConcurrent) return undefined
    const [permit] = this.#options.gate.takeAtOnce(1)
    if (!permit) return undefined
    const free = this.#takeSlot()
    return {
      claimedUntil: this.#clock.now() + this.#leaseMs,
      begin: (ending) => this.#begin(ending, permit, ending.claimed_until as number, free),
      giveBack: () => {
        permit.giveBack()
        free()
        // It may have kept the loop from a slot.
        this.#wakeUp()
      },
    }
  }

  /** Begins nothing more, lets what is running finish for `graceMs`, then cuts it short and gives it back. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort(CUT_SHORT)
    this.#wakeUp()
    // The loop may still be claiming; what it began before it saw the stop is waited for as well.
    const finished = Promise.resolve(this.#loop)
      .then(() => Promise.all(this.#running))
      .then(() => Promise.all(this.#unfinished))
    const grace = new AbortController()
    const until = this.#clock.now() + graceMs
    await Promise.race([finished, sleepUntil(this.#clock, until, grace.signal)])
    grace.abort(DONE)
    this.#isCutting = true
    for (const cut of this.#cuts) cut.abort(CUT_SHORT)
    await finished
  }

  #wakeUp(): void {
    if (!this.#wake.signal.aborted) this.#wake.abort(WOKEN)
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#turn()
      } catch (error) {
        this.#options.log.error({ err: error }, 'worker.trouble')
        await this.#clock.sleep(AFTER_TROUBLE_MS, this.#stopping.signal)
      }
    }
  }

  /** One turn: a slot, budget, and the claim of what is due; where it has to wait for budget, it looks for whom first. */
  async #turn(): Promise<void> {
    const { ledger, gate, maxConcurrent } = this.#options
    this.#wake = new AbortController()
    if (this.#stopping.signal.aborted) return
    // After a refusal a single call asks whether the credentials work, so nothing else may be on its way.
    const free = (gate.refused ? 1 : maxConcurrent) - this.#running.size
    const atOnce = free > 0 ? gate.takeAtOnce(free) : []
    if (atOnce.length > 0) {
      const claimed = await this.#claim(atOnce)
      // There may be more.
      if (claimed === atOnce.length) gate.endsDueAt = this.#clock.now()
      else await this.#sleep(await ledger.nextAttemptAt())
      return
    }
    if (free + this.#blocked <= 0) return this.#untilFree()
    const due = await ledger.firstDue()
    if (!due) return this.#sleep(await ledger.nextAttemptAt())
    gate.endsDueAt = this.#clock.now()
    // An urgent one takes the place of one that waits for the budget, which urgent ones need not wait for.
    if (free <= 0 && !due.urgent) return this.#untilFree()
    const permits = await gate.enter(priorityOf(due), Math.max(free, 1), this.#wake.signal)
    if (permits.length > 0) await this.#claim(permits)
  }

  async #untilFree(): Promise<void> {
    const { signal } = this.#wake
    const lookAgain = sleepUntil(this.#clock, this.#clock.now() + BLOCKED_LOOK_MS, signal)
    await Promise.race([...this.#running, lookAgain])
    this.#wakeUp()
  }

  async #sleep(next: number | undefined): Promise<void> {
    this.#options.gate.endsDueAt = next ?? Number.POSITIVE_INFINITY
    const lookAgain = this.#clock.now() + LOOK_AGAIN_MS
    this.#sleepsUntil = Math.min(next ?? lookAgain, lookAgain)
    await sleepUntil(this.#clock, this.#sleepsUntil, this.#wake.signal)
    this.#sleepsUntil = Number.POSITIVE_INFINITY
  }

  get #leaseMs(): number {
    return LONGEST_ATTEMPT_MS + this.#options.callTimeoutMs + LEASE_MARGIN_MS
  }

  /** Begins up to as many as there are permits, and returns how many they were. */
  async #claim(permits: Permit[]): Promise<number> {
    const unused = new Set(permits)
    try {
      const leaseMs = this.#leaseMs
      const urgentOnly = permits.some(({ forUrgentOnly }) => forUrgentOnly)
      const { ledger, gate } = this.#options
      const which = { urgentOnly, retriesLast: gate.isTroubled }
      const claimed = await ledger.claim(permits.length, leaseMs, which)
      for (const [index, ending] of claimed.entries()) {
        const permit = permits[index] as Permit
        unused.delete(permit)
        this.#begin(ending, permit, this.#clock.now() + leaseMs, this.#takeSlot())
      }
      return claimed.length
    } finally {
      for (const permit of unused) permit.giveBack()
    }
  }

  /** Returns how to free it, once or again. */
  #takeSlot(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#running.add(promise)
    return () => {
      this.#running.delete(promise)
      resolve()
    }
  }

  #begin(ending: EndingRow, permit: Permit, leaseUntil: number, free: () => void): void {
    const work = this.#carryOut(ending, permit, leaseUntil, free)
      .catch((error) => this.#options.log.error({ err: error, ending: ending.id }, 'worker.trouble'))
      .finally(() => {
        permit.giveBack()
        free()
        this.#unfinished.delete(work)
      })
    this.#unfinished.add(work)
  }

  async #carryOut(ending: EndingRow, permit: Permit, leaseUntil: number, free: () => void): Promise<void> {
    const done = new AbortController()
    const cut = new AbortController()
    const progress = { isWaiting: false }
    const beganAt = this.#clock.now()
    this.#cuts.add(cut)
    if (this.#isCutting) cut.abort(CUT_SHORT)
    void sleepUntil(this.#clock, beganAt + LONGEST_ATTEMPT_MS, done.signal).then(() =>
      // One that waits for the budget is given back as it is: nothing has failed.
      done.signal.aborted ? undefined : cut.abort(progress.isWaiting ? CUT_SHORT : TOO_LONG),
    )
    try {
      const report = tooLong(await this.#attempt(ending, permit, cut.signal, progress), cut.signal)
      // No more calls: what is left is for the ledger, which keeps up or keeps everything else back as well.
      permit.giveBack()
      free()
      if (report.defect !== undefined)
        this.#options.log.error({ err: report.defect, ending: ending.id }, 'worker.trouble')
      await this.#record(ending, report, beganAt, leaseUntil, cut.signal)
      await this.#completeOtherEndings(report)
    } finally {
      this.#cuts.delete(cut)
      done.abort(DONE)
    }
  }

  #attempt(
    ending: EndingRow,
    first: Permit,
    signal: AbortSignal,
    progress: { isWaiting: boolean },
  ): Promise<AttemptReport> {
    const { digitalSamba, gate, listing } = this.#options
    let held: Permit | undefined = first
    const next = async () => {
      progress.isWaiting = true
      this.#blocked += 1
      try {
        return await gate.permit(priorityOf(ending), AbortSignal.any([signal, this.#stopping.signal]))
      } finally {
        this.#blocked -= 1
        progress.isWaiting = false
      }
    }
    const admit = async () => {
      const permit = held ?? (await next())
      held = undefined
      permit.spend()
    }
    const context = { signal, admit, onCall: gate.observe.bind(gate) }
    return attempt(ending, { digitalSamba, listing, context })
  }

  /** A session that was seen to be over already is over for whoever else was to end it. */
  async #completeOtherEndings({ calls }: AttemptReport): Promise<void> {
    const { ledger, log } = this.#options
    const over = calls.filter(({ result }) => result === 'already_ended')
    for (const session of new Set(over.map((call) => call.session)))
      logSeenOver(log, session, await ledger.sessionSeenOver(session), 'look-up')
  }

  /** Writes the report down, and keeps trying while the claim holds: a result that is lost is a call made twice. */
  async #record(
    ending: EndingRow,
    report: AttemptReport,
    beganAt: number,
    leaseUntil: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { ledger, gate, log, retryForMs } = this.#options
    // What failed before Digital Samba answered again is tried at once, as all that waited is.
    const isFirst = gate.recoveredSince(beganAt)
    const about = { now: this.#clock.now(), retryForMs, random: this.#random(), isFirst }
    const transition = transitionFor(ending, report.conclusion, about)
    for (;;) {
      try {
        const after = await ledger.record(ending, report.calls, transition)
        return logAttempt(log, ending, report, transition, after)
      } catch (error) {
        log.error({ err: error, ending: ending.id }, 'ending.not_recorded')
        if (this.#isCutting || this.#clock.now() + AFTER_TROUBLE_MS > leaseUntil) throw error
        await this.#clock.sleep(AFTER_TROUBLE_MS, signal)
      }
    }
  }
}

function priorityOf(ending: EndingRow): Priority {
  return { rank: ending.urgent ? RANK.urgent : RANK.ending, at: ending.due_at }
}

/** What was cut off in the middle of a call has failed, and waits like all that fails. */
function tooLong(report: AttemptReport, { reason }: AbortSignal): AttemptReport {
  if (reason !== TOO_LONG || report.conclusion.kind !== 'released') return report
  const why = `not done within ${LONGEST_ATTEMPT_MS / 1000} s`
  return { ...report, conclusion: { kind: 'retry', why, retryAfterMs: undefined } }
}
