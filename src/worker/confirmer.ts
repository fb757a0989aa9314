import type { Logger } from 'pino'
import { type CallGate, CallsHeldError } from '../calls/gate.ts'
import { type Permit, RANK } from '../calls/permits.ts'
import type { Clock } from '../clock.ts'
import type { DigitalSamba } from '../digital-samba/client.ts'
import { DigitalSambaError, NotFoundError } from '../digital-samba/errors.ts'
import { logSeenOver, traceOf } from '../ending-log.ts'
import { STILL_LIVE_AFTER_MS, type Unconfirmed } from '../storage/endings/confirmations.ts'
import type { Ledger } from '../storage/ledger.ts'
import type { EndingRow } from '../storage/schema.ts'
import { Loop, type Next } from './loop.ts'
import { logTrouble } from './trouble.ts'

export interface ConfirmerOptions {
  ledger: Ledger
  digitalSamba: DigitalSamba
  gate: CallGate
  log: Logger
}

// Few: what is confirmed is over already, and nobody waits for it.
const MOST_AT_ONCE = 8
const GATHER_MS = 200
const LEASE_MS = 120_000
const LONGEST_WAIT_MS = 3_600_000

/**
 * Looks up sessions that were ended and of which no webhook has told since, so that every ending is confirmed or, where
 * its session lives on, done again. It gives way to endings that are due.
 */
export class Confirmer {
  readonly #options: ConfirmerOptions
  readonly #clock: Clock
  readonly #loop: Loop

  constructor(options: ConfirmerOptions) {
    this.#options = options
    this.#clock = options.ledger.clock
    const onTrouble = logTrouble(options.log, 'confirmer')
    this.#loop = new Loop({ clock: this.#clock, onTrouble, mostAtOnce: 1 })
  }

  start(): void {
    this.#options.ledger.news.onUnconfirmed((at) => this.#loop.wakeFor(at))
    this.#loop.start(() => this.#turn())
  }

  /** Cuts look-ups short; whoever comes next does them. */
  stop(): Promise<void> {
    return this.#loop.stop()
  }

  async #turn(): Promise<Next> {
    const { ledger, gate } = this.#options
    const next = await ledger.nextConfirmation()
    if (next === undefined || next > this.#clock.now()) return next
    // One may leave, so there is a chance for the others; each waits for a permit of its own.
    const permit = await gate.permit({ rank: RANK.confirmation, at: next }, this.#loop.stopping)
    const found = await ledger.claimConfirmations(MOST_AT_ONCE, LEASE_MS).catch((error) => {
      permit.giveBack()
      throw error
    })
    this.#loop.begin(this.#confirmAll(found, permit))
    // What comes due within a moment is claimed together.
    return found.length === MOST_AT_ONCE ? 'at once' : this.#clock.now() + GATHER_MS
  }

  async #confirmAll(all: Unconfirmed[], first: Permit): Promise<void> {
    const done = await Promise.allSettled(
      all.map((found, i) => this.#confirm(found, i === 0 ? first : undefined)),
    )
    first.giveBack()
    const failed = done.find(({ status }) => status === 'rejected')
    if (failed) throw (failed as PromiseRejectedResult).reason
  }

  async #confirm({ ending, sessions }: Unconfirmed, first: Permit | undefined): Promise<void> {
    if (this.#options.gate.brake.isOn(ending.requested_by)) return this.#later(ending)
    const seen = new Set<LookupResult>()
    for (const [i, session] of sessions.entries())
      seen.add(await this.#look(session, { ...traceOf(ending), first: i === 0 ? first : undefined }))
    if (seen.has('live')) await this.#stillLive(ending)
    else if (seen.has('unknown')) await this.#later(ending)
  }

  async #look(
    session: string,
    more: { first: Permit | undefined; traceparent?: string },
  ): Promise<LookupResult> {
    const { digitalSamba, gate, ledger, log } = this.#options
    const signal = this.#loop.stopping
    const context = gate.context(RANK.confirmation, signal, more)
    try {
      const { live } = await digitalSamba.session(session, context)
      if (live) return 'live'
    } catch (error) {
      if (error instanceof CallsHeldError) return 'unknown'
      if (!(error instanceof DigitalSambaError)) throw error
      // It answered 2xx to its end, so it did exist: it went with its room.
      if (!(error instanceof NotFoundError)) return 'unknown'
    }
    logSeenOver(log, session, await ledger.sessionSeenOver(session), 'look-up')
    return 'over'
  }

  /** Right after its end a session may still be shown as live; a minute later it was not ended. */
  async #stillLive(ending: EndingRow): Promise<void> {
    const { ledger, log } = this.#options
    const believedUntil = (ending.finished_at ?? 0) + STILL_LIVE_AFTER_MS
    if (this.#clock.now() < believedUntil) return ledger.postponeConfirmation(ending.id, believedUntil)
    const { id, requested_by: requestedBy, reason } = ending
    const about = { ending: id, requestedBy, reason, ...traceOf(ending) }
    const reopened = await ledger.reopen(ending)
    if (reopened) log.warn({ ...about, reopened: reopened.reopened }, 'ending.reopened')
    else log.error({ ...about, reopened: ending.reopened }, 'ending.not_confirmed')
  }

  /** It could not be looked up: the longer that has been so, the longer until the next time. */
  #later(ending: EndingRow): Promise<void> {
    const now = this.#clock.now()
    const wait = Math.min(Math.max(now - (ending.finished_at ?? now), STILL_LIVE_AFTER_MS), LONGEST_WAIT_MS)
    return this.#options.ledger.postponeConfirmation(ending.id, now + wait)
  }
}

type LookupResult = 'live' | 'over' | 'unknown'
