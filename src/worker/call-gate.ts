import type { Logger } from 'pino'
import { type Clock, sleepUntil } from '../clock.ts'
import type { MadeCall } from '../digital-samba/client.ts'
import { RateLimitedError, UnauthorizedError } from '../digital-samba/errors.ts'
import type { Ledger } from '../storage/ledger.ts'
import { type CallBudget, LONGEST_PAUSE_MS, type Permit, type Priority, RANK } from './budget.ts'

/** No call may leave now; nothing is wrong with what it was for. */
export class CallsHeldError extends Error {
  override readonly name = 'CallsHeldError'
  readonly code = 'CALLS_HELD'
}

/** Times are epoch ms. */
export interface CallsStatus {
  state: 'ok' | 'paused' | 'rate_limited' | 'refused' | 'failing'
  since: number | undefined
  why: string | undefined
  /** when calls may leave again (`rate_limited`), or the next one asks whether they may (`refused`) */
  until: number | undefined
  budgetLeft: number
}

interface Hold {
  since: number
  until: number
  why: string
}

const PROBE_EVERY_MS = 60_000
const YIELD_MS = 100
// Where a 429 does not say how long: half the vendor's minute.
const UNSAID_PAUSE_MS = 30_000
// One failed call says something about one session, three in a row about the far side.
const FAILING_AFTER = 3

/**
 * Whether calls may leave: the budget, the one pause for all after a 429, and the refusal after a 401, during which
 * one call a minute asks whether the credentials work again. Pause and refusal are kept in the ledger.
 */
export class CallGate {
  readonly #budget: CallBudget
  readonly #ledger: Ledger
  readonly #clock: Clock
  readonly #log: Logger
  #pause: Hold | undefined
  #refusal: Hold | undefined
  /** Aborts when the refusal ends, since somebody else's call may find that out. */
  #refusalEnds = new AbortController()
  #failures: { since: number; count: number; why: string } | undefined

  constructor({ budget, ledger, log }: { budget: CallBudget; ledger: Ledger; log: Logger }) {
    this.#budget = budget
    this.#ledger = ledger
    this.#clock = ledger.clock
    this.#log = log
  }

  /** Takes up what the process before wrote down. A new process may have new credentials, so it asks at once. */
  async load(): Promise<void> {
    const now = this.#clock.now()
    for (const { name, ...hold } of await this.#ledger.control()) {
      if (name === 'refusal') this.#refusal = { ...hold, until: now }
      else if (hold.until > now)
        this.#pauseFor({ ...hold, until: Math.min(hold.until, now + LONGEST_PAUSE_MS) })
    }
  }

  get refused(): boolean {
    return this.#refusal !== undefined
  }

  /** Permits for up to `most` first calls; one only where it is to ask after a refusal; none where `signal` aborted. */
  async enter(priority: Priority, most: number, signal: AbortSignal): Promise<Permit[]> {
    while (this.#refusal && !this.#mayProbe() && !signal.aborted) {
      const either = AbortSignal.any([signal, this.#refusalEnds.signal])
      await sleepUntil(this.#clock, this.#refusal.until, either)
    }
    const probing = this.#refusal
    const first = await this.#budget.take(priority, signal)
    if (!first) return []
    const permits = [this.#probes(first)]
    while (!probing && permits.length < most) {
      const next = this.#budget.takeAtOnce()
      if (!next) break
      permits.push(next)
    }
    return permits
  }

  /**
   * A permit for a call that is no ending's first. Throws CallsHeldError where it has to be put off. Where it is for no
   * ending at all, it gives way to every end that is due: the worker asks for few at a time, so its rank does not say
   * how many there are. After a refusal it may be the call that asks whether the credentials work, since nothing else
   * may be due.
   */
  async permit(priority: Priority, signal: AbortSignal): Promise<Permit> {
    const givesWay = priority.rank > RANK.ending
    for (;;) {
      this.#orHeld()
      if (!givesWay || !(await this.#isEndDue())) {
        const permit = await this.#take(priority, signal)
        if (!givesWay || !(await this.#isEndDue(permit))) return this.#probes(permit)
        permit.giveBack()
      }
      await this.#clock.sleep(YIELD_MS, signal)
      if (signal.aborted) throw new CallsHeldError('stopped while waiting for the call budget')
    }
  }

  async #isEndDue(held?: Permit): Promise<boolean> {
    try {
      return (await this.#ledger.firstDue()) !== undefined
    } catch (error) {
      held?.giveBack()
      throw error
    }
  }

  async #take(priority: Priority, signal: AbortSignal): Promise<Permit> {
    const permit = await this.#budget.take(priority, signal)
    if (!permit) throw new CallsHeldError('stopped while waiting for the call budget')
    try {
      this.#orHeld()
    } catch (error) {
      permit.giveBack()
      throw error
    }
    return permit
  }

  #orHeld(): void {
    if (this.#refusal && !this.#mayProbe()) throw new CallsHeldError('the credentials are refused')
  }

  #mayProbe(): boolean {
    return this.#refusal !== undefined && this.#refusal.until <= this.#clock.now()
  }

  // Before it is answered: of all that wait, one asks.
  #probes(permit: Permit): Permit {
    if (this.#refusal) this.#refusal = { ...this.#refusal, until: this.#clock.now() + PROBE_EVERY_MS }
    return permit
  }

  /** Learns from every call that was made. */
  observe({ error, status, operation }: MadeCall): void {
    const now = this.#clock.now()
    if (error instanceof RateLimitedError) this.#rateLimited(error, now)
    else if (error instanceof UnauthorizedError) this.#refused(error, now)
    else if (status !== null && status < 500) this.#accepted(now)
    this.#countFailures(
      error && (status === null || status >= 500 || status < 400) ? error : undefined,
      now,
      operation,
    )
  }

  status(): CallsStatus {
    const budgetLeft = this.#budget.left()
    if (this.#refusal) return { state: 'refused', ...this.#refusal, budgetLeft }
    if (this.#pause && this.#pause.until > this.#clock.now())
      return { state: 'rate_limited', ...this.#pause, budgetLeft }
    if (this.#failures && this.#failures.count >= FAILING_AFTER) {
      const { since, why } = this.#failures
      return { state: 'failing', since, why, until: undefined, budgetLeft }
    }
    return { state: 'ok', since: undefined, why: undefined, until: undefined, budgetLeft }
  }

  #rateLimited({ retryAfterMs, message }: RateLimitedError, now: number): void {
    const pauseMs = Math.min(Math.max(retryAfterMs ?? UNSAID_PAUSE_MS, 1000), LONGEST_PAUSE_MS)
    const since = this.#pause && this.#pause.until > now ? this.#pause.since : now
    const hold = { since, until: now + pauseMs, why: message }
    this.#pauseFor(hold)
    this.#log.warn({ pauseMs, until: new Date(hold.until).toISOString() }, 'calls.rate_limited')
    this.#keep('pause', hold)
  }

  #pauseFor(hold: Hold): void {
    if (hold.until > (this.#pause?.until ?? 0)) this.#pause = hold
    this.#budget.pause(hold.until)
  }

  #refused({ message }: UnauthorizedError, now: number): void {
    this.#refusal = { since: this.#refusal?.since ?? now, until: now + PROBE_EVERY_MS, why: message }
    this.#log.error({ since: this.#refusal.since, nextProbeMs: PROBE_EVERY_MS }, 'calls.refused')
    this.#keep('refusal', this.#refusal)
  }

  #accepted(now: number): void {
    if (!this.#refusal) return
    this.#log.info({ refusedForMs: now - this.#refusal.since }, 'calls.accepted_again')
    this.#refusal = undefined
    this.#refusalEnds.abort()
    this.#refusalEnds = new AbortController()
    this.#ledger.endRefusal().catch((error) => this.#log.error({ err: error }, 'calls.not_written_down'))
  }

  // What cannot be written down still holds in this process; the next one would learn it from its first call.
  #keep(name: 'pause' | 'refusal', hold: Hold): void {
    this.#ledger
      .setControl({ name, ...hold })
      .catch((error) => this.#log.error({ err: error, name }, 'calls.not_written_down'))
  }

  #countFailures(error: Error | undefined, now: number, operation: string): void {
    if (!error) this.#failures = undefined
    else {
      const { since, count } = this.#failures ?? { since: now, count: 0 }
      this.#failures = { since, count: count + 1, why: `${operation}: ${error.message}` }
    }
  }
}
