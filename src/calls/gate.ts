import type { Logger } from 'pino'
import { type Clock, sleepUntil } from '../clock.ts'
import type { CallContext, CallMade } from '../digital-samba/client.ts'
import {
  AbortedCallError,
  type DigitalSambaError,
  RateLimitedError,
  UnauthorizedError,
} from '../digital-samba/errors.ts'
import type { Ledger } from '../storage/ledger.ts'
import { Breaker } from './breaker.ts'
import { type CallBudget, LONGEST_PAUSE_MS, type Permit, type Priority, RANK, type Rank } from './budget.ts'

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
  /** when calls may leave again (`rate_limited`), or the next one asks whether they may (`refused`, `failing`) */
  until: number | undefined
  budgetLeft: number
}

interface Hold {
  since: number
  until: number
  why: string
}

const PROBE_EVERY_MS = 60_000
// Where a 429 does not say how long: half the vendor's minute.
const UNSAID_PAUSE_MS = 30_000

/**
 * Whether calls may leave: the budget, the one pause for all after a 429, the refusal after a 401, during which one
 * call a minute asks whether the credentials work again, and the breaker, which lets one call a second ask while Digital
 * Samba is out of order. Pause and refusal are kept in the ledger.
 */
export class CallGate {
  readonly #budget: CallBudget
  readonly #ledger: Ledger
  readonly #clock: Clock
  readonly #log: Logger
  readonly #breaker: Breaker
  #pause: Hold | undefined
  #refusal: Hold | undefined
  /** Aborts when a refusal or an outage ends, since somebody else's call may find that out. */
  #opens = new AbortController()
  /** When the first end is due that nobody carries out yet, as far as the worker knows (epoch ms). */
  #endsDueAt = Number.POSITIVE_INFINITY
  #noEndsAreDue: Array<() => void> = []

  constructor({ budget, ledger, log }: { budget: CallBudget; ledger: Ledger; log: Logger }) {
    this.#budget = budget
    this.#ledger = ledger
    this.#clock = ledger.clock
    this.#log = log
    this.#breaker = new Breaker(ledger.clock)
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

  /** Whether calls fail, or have done so a moment ago: what fails again and again must not stand in others' way. */
  get isTroubled(): boolean {
    return this.#breaker.isTroubled
  }

  /** The worker's word of when the next end is due (epoch ms): from then on, what is no end gives way. */
  set endsDueAt(at: number) {
    this.#endsDueAt = at
    if (!this.#endsAreDue) for (const go of this.#noEndsAreDue.splice(0)) go()
  }

  get endsDueAt(): number {
    return this.#endsDueAt
  }

  get #endsAreDue(): boolean {
    return this.#endsDueAt <= this.#clock.now()
  }

  /** Whether Digital Samba was out of order at `since` (epoch ms) or after it, and answers again. */
  recoveredSince(since: number): boolean {
    return this.#breaker.recoveredAt >= since
  }

  /** Permits for up to `most` first calls; one only where it is to ask; none where `signal` aborted. */
  async enter(priority: Priority, most: number, signal: AbortSignal): Promise<Permit[]> {
    const first = await this.#firstPermit(priority, signal)
    if (!first) return []
    const asking = this.#refusal !== undefined || this.#breaker.isOpen
    this.#asks()
    return asking || first.forUrgentOnly ? [first] : [first, ...this.takeAtOnce(most - 1)]
  }

  /** Permits for up to `most` first calls that may leave this moment; none where one has to ask or to wait. */
  takeAtOnce(most: number): Permit[] {
    const permits: Permit[] = []
    if (this.#refusal !== undefined || this.#breaker.isOpen) return permits
    while (permits.length < most) {
      const permit = this.#budget.takeAtOnce()
      if (!permit) break
      permits.push(permit)
    }
    return permits
  }

  async #firstPermit(priority: Priority, signal: AbortSignal): Promise<Permit | undefined> {
    for (;;) {
      for (let at = this.#mayAskAt(); at > this.#clock.now() && !signal.aborted; at = this.#mayAskAt())
        await sleepUntil(this.#clock, at, AbortSignal.any([signal, this.#opens.signal]))
      const permit = await this.#budget.take(priority, signal)
      // What it waited for may have taken so long that calls have begun to fail meanwhile.
      if (!permit || this.#mayAskAt() <= this.#clock.now()) return permit
      permit.giveBack()
    }
  }

  /**
   * A permit for a call that is no ending's first. Throws CallsHeldError where it has to be put off, AbortedCallError
   * where `signal` aborted. Where it is for no ending at all, it gives way to every end that is due: the worker asks for few at a time, so its rank does not say
   * how many there are. It may be the call that asks whether calls work again, since nothing else may be due.
   */
  async permit(priority: Priority, signal: AbortSignal): Promise<Permit> {
    const givesWay = priority.rank > RANK.ending
    for (;;) {
      this.#orHeld()
      if (givesWay && this.#endsAreDue) await this.#untilNoEndsAreDue(signal)
      const permit = await this.#budget.take(priority, signal)
      if (!permit) throw new AbortedCallError('given up while it waited for the call budget')
      if (givesWay && this.#endsAreDue) permit.giveBack()
      else return this.#asked(permit)
    }
  }

  /** What calls of that rank bring along: each waits for its permit; the first may have one. `at` is now where absent. */
  context(rank: Rank, signal: AbortSignal, { at, first }: { at?: number; first?: Permit } = {}): CallContext {
    let held = first
    const admit = async () => {
      const permit = held ?? (await this.permit({ rank, at: at ?? this.#clock.now() }, signal))
      held = undefined
      permit.spend()
    }
    return { signal, admit, onCall: (call) => this.observe(call) }
  }

  #asked(permit: Permit): Permit {
    try {
      this.#orHeld()
    } catch (error) {
      permit.giveBack()
      throw error
    }
    this.#asks()
    return permit
  }

  #untilNoEndsAreDue(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const go = () => {
        signal.removeEventListener('abort', go)
        resolve()
      }
      signal.addEventListener('abort', go, { once: true })
      this.#noEndsAreDue.push(go)
    })
  }

  #orHeld(): void {
    if (this.#mayAskAt() <= this.#clock.now()) return
    if (this.#refusal) throw new CallsHeldError('the credentials are refused')
    throw new CallsHeldError(`Digital Samba is out of order (${this.#breaker.why})`)
  }

  /** When a call may leave as far as refusal and breaker go (epoch ms): 0 where neither is in force. */
  #mayAskAt(): number {
    return Math.max(this.#refusal?.until ?? 0, this.#breaker.mayAskAt)
  }

  // Before it is answered: of all that wait, one asks.
  #asks(): void {
    if (this.#refusal) this.#refusal = { ...this.#refusal, until: this.#clock.now() + PROBE_EVERY_MS }
    this.#breaker.asks()
  }

  /** Learns from every call that was made. */
  observe({ error, operation }: CallMade): void {
    // We gave it up ourselves: that says nothing about the other side.
    if (error instanceof AbortedCallError) return
    const now = this.#clock.now()
    if (error instanceof RateLimitedError) this.#rateLimited(error, now)
    else if (error instanceof UnauthorizedError) this.#refused(error, now)
    else if (error?.outage) this.#failed(operation, error)
    else this.#succeeded(now)
  }

  status(): CallsStatus {
    const budgetLeft = this.#budget.left()
    if (this.#refusal) return { state: 'refused', ...this.#refusal, budgetLeft }
    if (this.#pause && this.#pause.until > this.#clock.now())
      return { state: 'rate_limited', ...this.#pause, budgetLeft }
    const failing = this.#breaker.failing
    if (failing) return { state: 'failing', ...failing, budgetLeft }
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

  #failed(operation: string, { message }: DigitalSambaError): void {
    const opened = this.#breaker.failed(`${operation}: ${message}`)
    if (opened) this.#log.error({ why: this.#breaker.why }, 'calls.failing')
  }

  #succeeded(now: number): void {
    if (this.#refusal) this.#refusalEnded(this.#refusal, now)
    const { wasOpen, wasLong } = this.#breaker.succeeded()
    if (wasOpen) this.#letGo()
    if (wasLong) this.#recovered()
  }

  #refusalEnded({ since }: Hold, now: number): void {
    this.#log.info({ refusedForMs: now - since }, 'calls.accepted_again')
    this.#refusal = undefined
    this.#letGo()
    this.#ledger.endRefusal().catch((error) => this.#log.error({ err: error }, 'calls.not_written_down'))
  }

  /** What failed while nothing worked need not wait until its own next attempt. */
  #recovered(): void {
    this.#ledger.hastenRetries().then(
      (hastened) => this.#log.info({ hastened }, 'calls.working_again'),
      (error) => this.#log.error({ err: error }, 'calls.not_written_down'),
    )
  }

  #letGo(): void {
    this.#opens.abort()
    this.#opens = new AbortController()
  }

  // What cannot be written down still holds in this process; the next one would learn it from its first call.
  #keep(name: 'pause' | 'refusal', hold: Hold): void {
    this.#ledger
      .setControl({ name, ...hold })
      .catch((error) => this.#log.error({ err: error, name }, 'calls.not_written_down'))
  }
}
