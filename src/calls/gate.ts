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
import { Brake } from './brake.ts'
import { Breaker } from './breaker.ts'
import type { CallBudget } from './budget.ts'
import { type Permit, type Priority, RANK, type Rank } from './permits.ts'
import { Stops } from './stops.ts'

/** No call may leave now; nothing is wrong with what it was for. */
export class CallsHeldError extends Error {
  override readonly name = 'CallsHeldError'
  readonly code = 'CALLS_HELD'
}

interface GateOptions {
  budget: CallBudget
  ledger: Ledger
  log: Logger
  /** told of every call that was made */
  onCall?: ((call: CallMade) => void) | undefined
}

/** Times are epoch ms. */
export interface CallsStatus {
  state: 'ok' | 'paused' | 'rate_limited' | 'refused' | 'failing'
  since: number | undefined
  why: string | undefined
  /** when calls may leave again (`rate_limited`), or the next one asks whether they may (`refused`, `failing`) */
  until: number | undefined
}

/** What a context may bring along; `at` is now where absent. */
interface ContextMore {
  at?: number
  first?: Permit | undefined
  traceparent?: string | undefined
}

/**
 * Whether calls may leave: the budget, what stops the calls of all (a 429, refused credentials), and the breaker, which
 * lets one call a second ask while Digital Samba is out of order.
 */
export class CallGate {
  readonly #budget: CallBudget
  readonly #ledger: Ledger
  readonly #clock: Clock
  readonly #log: Logger
  readonly #breaker: Breaker
  readonly #stops: Stops
  /** What operators have stopped. */
  readonly brake: Brake
  readonly #onCall: GateOptions['onCall']
  /** Aborts when a refusal or an outage ends, since somebody else's call may find that out. */
  #opens = new AbortController()
  /** When the first end is due that nobody carries out yet, as far as the worker knows (epoch ms). */
  #endsDueAt = Number.POSITIVE_INFINITY
  #noEndsAreDue: Array<() => void> = []

  constructor({ budget, ledger, log, onCall }: GateOptions) {
    this.#onCall = onCall
    this.#budget = budget
    this.#ledger = ledger
    this.#clock = ledger.clock
    this.#log = log
    this.#breaker = new Breaker(ledger.clock)
    this.#stops = new Stops({
      ledger,
      log,
      onPause: (until) => budget.pause(until),
      onAccepted: () => this.#letGo(),
    })
    const onTrouble = (error: unknown) => this.#log.error({ err: error }, 'calls.not_read')
    this.brake = new Brake(ledger, () => this.#braked(), onTrouble)
  }

  /** Takes up what stands in the way of calls, and from now on what other processes find out or are told. */
  async load(): Promise<void> {
    await this.#stops.load()
    await this.brake.reload()
    this.#ledger.signals.onSignal(({ is }) => {
      if (is === 'control') this.reload().catch((error) => this.#log.error({ err: error }, 'calls.not_read'))
    })
  }

  /** Takes up what others have written down. */
  async reload(): Promise<void> {
    await Promise.all([this.#stops.reload(), this.brake.reload()])
  }

  get refused(): boolean {
    return this.#stops.refusal !== undefined
  }

  /** Whether a call that has its permit may leave now. */
  get isOpen(): boolean {
    return !this.#stops.refusal && !this.#stops.pause && !this.#breaker.isOpen && !this.brake.ofAll
  }

  /** Whether there are fewer calls than are wanted: then whose turn it is matters. */
  get isShort(): boolean {
    return this.#budget.isShort
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

  /**
   * Permits for up to `most` first calls; one only where it is to ask; none where `signal` aborted. Before it takes the
   * one call a minute that asks whether refused credentials work, it looks whether that `isWanted` still: whoever had it
   * in vain would keep all others from asking for a minute.
   */
  async enter(
    priority: Priority,
    most: number,
    signal: AbortSignal,
    isWanted: () => Promise<boolean>,
  ): Promise<Permit[]> {
    const first = await this.#firstPermit(priority, most, signal, isWanted)
    if (!first) return []
    const asking = this.refused || this.#breaker.isOpen
    this.#asks()
    return asking || first.forUrgentOnly ? [first] : [first, ...this.takeAtOnce(most - 1)]
  }

  /** Permits for up to `most` first calls that may leave this moment; none where one has to ask or to wait. */
  takeAtOnce(most: number): Permit[] {
    const permits: Permit[] = []
    if (this.refused || this.#breaker.isOpen) return permits
    while (permits.length < most) {
      const permit = this.#budget.takeAtOnce()
      if (!permit) break
      permits.push(permit)
    }
    return permits
  }

  /** How many permits somebody has who will perhaps give them back in a moment. */
  set lent(count: number) {
    this.#budget.lent = count
  }

  get lent(): number {
    return this.#budget.lent
  }

  /** See CallBudget. */
  prepare(): void {
    if (!this.refused && !this.#breaker.isOpen) this.#budget.prepare()
  }

  async #firstPermit(
    priority: Priority,
    most: number,
    signal: AbortSignal,
    isWanted: () => Promise<boolean>,
  ): Promise<Permit | undefined> {
    for (;;) {
      for (let at = this.#mayAskAt(); at > this.#clock.now() && !signal.aborted; at = this.#mayAskAt())
        await sleepUntil(this.#clock, at, AbortSignal.any([signal, this.#opens.signal]))
      if (this.refused && !signal.aborted && !(await isWanted())) return undefined
      const isAsking = this.refused || this.#breaker.isOpen
      const permit = await this.#budget.take(priority, signal, isAsking ? 1 : most)
      // What it waited for may have taken so long that calls have begun to fail meanwhile.
      if (!permit || (this.#mayAskAt() <= this.#clock.now() && (await this.#mayProbe(permit)))) return permit
      permit.giveBack()
    }
  }

  /**
   * A permit for a call that is no ending's first. Throws CallsHeldError where it has to be put off, AbortedCallError
   * where `signal` aborted. Where it is for no ending at all, it gives way to every end that is due: the worker asks for
   * few at a time, so its rank does not say how many there are. It may be the call that asks whether calls work again,
   * since nothing else may be due.
   */
  async permit(priority: Priority, signal: AbortSignal): Promise<Permit> {
    const givesWay = priority.rank > RANK.ending
    for (;;) {
      this.#orHeld()
      if (givesWay && this.#endsAreDue) await this.#untilNoEndsAreDue(signal)
      const permit = await this.#budget.take(priority, signal)
      if (!permit) throw new AbortedCallError('given up while it waited for the call budget')
      const isGranted = !(givesWay && this.#endsAreDue) && (await this.#mayProbe(permit))
      if (isGranted) return this.#asked(permit)
      permit.giveBack()
    }
  }

  /** What calls of that rank bring along: each waits for its permit; the first may have one. */
  context(rank: Rank, signal: AbortSignal, { at, first, traceparent }: ContextMore = {}): CallContext {
    let held = first
    const admit = async () => {
      for (;;) {
        const permit = held ?? (await this.permit({ rank, at: at ?? this.#clock.now() }, signal))
        held = undefined
        if (permit.spend()) return
      }
    }
    return { signal, admit, onCall: (call) => this.observe(call), traceparent }
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
    if (this.brake.ofAll) throw new CallsHeldError('calls are paused by an operator')
    if (this.#mayAskAt() <= this.#clock.now()) return
    if (this.refused) throw new CallsHeldError('the credentials are refused')
    throw new CallsHeldError(`Digital Samba is out of order (${this.#breaker.why})`)
  }

  /** When a call may leave as far as refusal and breaker go (epoch ms): 0 where neither is in force. */
  #mayAskAt(): number {
    return Math.max(this.#stops.refusal?.until ?? 0, this.#breaker.mayAskAt)
  }

  /** Whether the call that this permit is for may ask, where the credentials are refused. */
  async #mayProbe(permit: Permit): Promise<boolean> {
    try {
      return await this.#stops.mayProbe()
    } catch (cause) {
      permit.giveBack()
      throw new CallsHeldError('the ledger does not say who may ask whether the credentials work', { cause })
    }
  }

  // Before it is answered: of all that wait, one asks.
  #asks(): void {
    this.#stops.asks()
    this.#breaker.asks()
  }

  /** Learns from every call that was made. */
  observe(call: CallMade): void {
    this.#onCall?.(call)
    const { error, operation } = call
    // We gave it up ourselves: that says nothing about the other side.
    if (error instanceof AbortedCallError) return
    if (error instanceof RateLimitedError) this.#stops.rateLimited(error)
    else if (error instanceof UnauthorizedError) this.#stops.refused(error)
    else if (error?.outage) this.#failed(operation, error)
    else this.#succeeded()
  }

  status(): CallsStatus {
    const { refusal, pause } = this.#stops
    const { ofAll } = this.brake
    if (ofAll) return { state: 'paused', since: ofAll.since, why: ofAll.reason, until: undefined }
    if (refusal) return { state: 'refused', ...refusal }
    if (pause) return { state: 'rate_limited', ...pause }
    const failing = this.#breaker.failing
    if (failing) return { state: 'failing', ...failing }
    return { state: 'ok', since: undefined, why: undefined, until: undefined }
  }

  /** How many calls could leave now if nothing held them. */
  budgetLeft(): Promise<number> {
    return this.#budget.left()
  }

  #failed(operation: string, { message }: DigitalSambaError): void {
    const opened = this.#breaker.failed(`${operation}: ${message}`)
    if (opened) this.#log.error({ why: this.#breaker.why }, 'calls.failing')
  }

  #succeeded(): void {
    this.#stops.accepted()
    const { wasOpen, wasLong } = this.#breaker.succeeded()
    if (wasOpen) this.#letGo()
    if (wasLong) this.#recovered()
  }

  /** What failed while nothing worked need not wait until its own next attempt. */
  #recovered(): void {
    this.#ledger.hastenRetries().then(
      (hastened) => this.#log.info({ hastened }, 'calls.working_again'),
      (error) => this.#log.error({ err: error }, 'calls.not_written_down'),
    )
  }

  /** What waits is not let go, and what was paused for is looked for again. */
  #braked(): void {
    this.#budget.hold(this.brake.ofAll !== undefined)
    this.#ledger.news.work(this.#clock.now())
  }

  #letGo(): void {
    this.#opens.abort()
    this.#opens = new AbortController()
  }
}
