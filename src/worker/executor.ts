import type { Logger } from 'pino'
import { type CallGate, CallsHeldError } from '../calls/gate.ts'
import { type Permit, type Priority, RANK } from '../calls/permits.ts'
import { type Clock, sleepUntil } from '../clock.ts'
import type { CallContext, DigitalSamba } from '../digital-samba/client.ts'
import { AbortedCallError } from '../digital-samba/errors.ts'
import { logSeenOver, traceOf } from '../ending-log.ts'
import { latenessMs } from '../lateness.ts'
import type { Ledger } from '../storage/ledger.ts'
import type { EndingRow } from '../storage/schema.ts'
import { type AttemptReport, attempt } from './attempt.ts'
import type { Lease, Leases } from './leases.ts'
import type { SharedListing } from './listing.ts'
import { logAttempt } from './log.ts'
import { transitionFor } from './transition.ts'

export interface ExecutorOptions {
  ledger: Ledger
  digitalSamba: DigitalSamba
  gate: CallGate
  listing: SharedListing
  leases: Leases
  log: Logger
  /** ms */
  retryForMs: number
  random?: () => number
  /** told how late the very first call for an ending was (ms) */
  onFirstCall?: (latenessMs: number) => void
}

/** An ending that was claimed, with the permit of its first call. */
export interface Claimed {
  ending: EndingRow
  permit: Permit
  lease: Lease
}

/** The claim was lost: somebody else may have the ending by now. */
class LeaseOverError extends AbortedCallError {
  constructor() {
    super('its claim was not renewed in time')
  }
}

/** One attempt may make several calls and wait for budget before each; beyond this (ms) it is given back, and begun anew. */
const LONGEST_ATTEMPT_MS = 120_000
const AFTER_TROUBLE_MS = 1000
const TOO_LONG = new Error('too long')

// Making an AbortSignal's own reason costs as much as a statement, for its stack is taken down.
const DONE = new Error('done')
const CUT_SHORT = new Error('cut short')

/** Carries out endings that are claimed: attempts, judges, records, and tells in the log. */
export class Executor {
  readonly #options: ExecutorOptions
  readonly #clock: Clock
  readonly #random: () => number
  readonly #stopping: AbortSignal
  readonly #onBlocked: () => void
  /** What is running, each to be cut short by itself or with all others. */
  readonly #cuts = new Set<AbortController>()
  #isCutting = false
  #blocked = 0

  /**
   * `stopping` aborts when nothing is to wait for the call budget any more; `onBlocked` is called when something begins
   * to wait for it.
   */
  constructor(options: ExecutorOptions, stopping: AbortSignal, onBlocked: () => void) {
    this.#options = options
    this.#stopping = stopping
    this.#onBlocked = onBlocked
    this.#clock = options.ledger.clock
    this.#random = options.random ?? Math.random
  }

  /** How many wait for the call budget, and make no call meanwhile. */
  get blocked(): number {
    return this.#blocked
  }

  /** What is running is given back as if never tried, once the call that is on its way is cut off. */
  cutShort(): void {
    this.#isCutting = true
    for (const cut of this.#cuts) cut.abort(CUT_SHORT)
  }

  /** `onCallsOver` is called when no more calls are to come, before what came of them is written down. */
  async run({ ending, permit, lease }: Claimed, onCallsOver: () => void): Promise<void> {
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
      const report = tooLong(await this.#attempt(lease, permit, cut.signal, progress), cut.signal)
      permit.giveBack()
      onCallsOver()
      if (report.defect !== undefined)
        this.#options.log.error(
          { err: report.defect, ending: ending.id, ...traceOf(ending) },
          'worker.trouble',
        )
      await this.#record(lease, report, beganAt, cut.signal)
      await this.#completeOtherEndings(report)
    } finally {
      this.#cuts.delete(cut)
      done.abort(DONE)
    }
  }

  #attempt(
    lease: Lease,
    first: Permit,
    signal: AbortSignal,
    progress: { isWaiting: boolean },
  ): Promise<AttemptReport> {
    const { digitalSamba, gate, listing, leases } = this.#options
    const { ending } = lease
    let held: Permit | undefined = first
    const next = async () => {
      const permit = gate.permit(priorityOf(ending), AbortSignal.any([signal, this.#stopping]))
      progress.isWaiting = true
      this.#blocked += 1
      this.#onBlocked()
      try {
        return await permit
      } finally {
        this.#blocked -= 1
        progress.isWaiting = false
      }
    }
    const admit = async () => {
      for (;;) {
        const permit = held ?? (await next())
        held = undefined
        if (leases.isOver(lease)) {
          permit.giveBack()
          throw new LeaseOverError()
        }
        if (gate.brake.isOn(ending.requested_by)) {
          permit.giveBack()
          throw new CallsHeldError('paused by an operator')
        }
        if (permit.spend()) return
      }
    }
    const context = { signal, admit, onCall: this.#onCall(ending), ...traceOf(ending) }
    return attempt(ending, { digitalSamba, listing, context })
  }

  #onCall(ending: EndingRow): CallContext['onCall'] {
    const { gate, onFirstCall } = this.#options
    // What was given back without a result has been tried all the same.
    let isUntried = ending.attempt === 0 && ending.last_error_at === null
    return (call) => {
      if (isUntried) onFirstCall?.(latenessMs(ending, call.startedAt))
      isUntried = false
      gate.observe(call)
    }
  }

  /** A session that was seen to be over already is over for whoever else was to end it. */
  async #completeOtherEndings({ calls }: AttemptReport): Promise<void> {
    const { ledger, log } = this.#options
    const over = calls.filter(({ result }) => result === 'already_ended')
    for (const session of new Set(over.map((call) => call.session)))
      logSeenOver(log, session, await ledger.sessionSeenOver(session), 'look-up')
  }

  /** Writes the report down, and keeps trying while the claim holds: a result that is lost is a call made twice. */
  async #record(lease: Lease, report: AttemptReport, beganAt: number, signal: AbortSignal): Promise<void> {
    const { ledger, gate, leases, log, retryForMs } = this.#options
    const { ending } = lease
    // What failed before Digital Samba answered again is tried at once, as all that waited is.
    const isFirst = gate.recoveredSince(beganAt)
    const about = { now: this.#clock.now(), retryForMs, random: this.#random(), isFirst }
    const transition = transitionFor(ending, report.conclusion, about)
    for (;;) {
      try {
        const after = await ledger.record(ending, report.calls, transition)
        return logAttempt(log, ending, report, transition, after)
      } catch (error) {
        log.error({ err: error, ending: ending.id, ...traceOf(ending) }, 'ending.not_recorded')
        if (this.#isCutting || leases.isOver(lease)) throw error
        await this.#clock.sleep(AFTER_TROUBLE_MS, signal)
      }
    }
  }
}

export function priorityOf(ending: EndingRow): Priority {
  return { rank: ending.urgent ? RANK.urgent : RANK.ending, at: ending.due_at }
}

/** What was cut off in the middle of a call has failed, and waits like all that fails. */
function tooLong(report: AttemptReport, { reason }: AbortSignal): AttemptReport {
  if (reason !== TOO_LONG || report.conclusion.kind !== 'released') return report
  const why = `not done within ${LONGEST_ATTEMPT_MS / 1000} s`
  return { ...report, conclusion: { kind: 'retry', why, retryAfterMs: undefined } }
}
