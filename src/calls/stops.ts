import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import type { RateLimitedError, UnauthorizedError } from '../digital-samba/errors.ts'
import type { Ledger } from '../storage/ledger.ts'
import { LONGEST_PAUSE_MS } from './permits.ts'

/** Since when and until when (epoch ms) no call may leave, and why. */
export interface Stop {
  since: number
  until: number
  why: string
}

export interface StopsOptions {
  ledger: Ledger
  log: Logger
  /** Nobody gets a permit before `until` (epoch ms). */
  onPause: (until: number) => void
  /** The credentials work again. */
  onAccepted: () => void
}

const PROBE_EVERY_MS = 60_000
// Where a 429 does not say how long: half the vendor's minute.
const UNSAID_PAUSE_MS = 30_000

/**
 * What stops the calls of all processes on a ledger: the pause after a 429, and the refusal after a 401, during which one
 * call a minute asks whether the credentials work again. Kept in the ledger, and told to the others.
 */
export class Stops {
  readonly #options: StopsOptions
  readonly #ledger: Ledger
  readonly #clock: Clock
  readonly #log: Logger
  #pause: Stop | undefined
  #refusal: Stop | undefined
  /** The probe of a process that has just started is beside all others. */
  #isFirstProbe = false
  /** A refusal that is being written down is in force, though the ledger does not know it yet. */
  #isWriting = false

  constructor(options: StopsOptions) {
    this.#options = options
    this.#ledger = options.ledger
    this.#clock = options.ledger.clock
    this.#log = options.log
  }

  /**
   * Takes up what the process before wrote down. A new process may have new credentials, so it asks at once.
   */
  async load(): Promise<void> {
    await this.reload()
    if (this.#refusal) {
      this.#refusal = { ...this.#refusal, until: this.#clock.now() }
      this.#isFirstProbe = true
    }
  }

  /** Takes up what others have written down: a pause, a refusal, the end of one. */
  async reload(): Promise<void> {
    const control = await this.#ledger.control()
    const [refusal, pause] = (['refusal', 'pause'] as const).map((name) =>
      control.find((one) => one.name === name),
    )
    const now = this.#clock.now()
    // A clock that was set back must not turn ten minutes into hours.
    if (pause && pause.until > now)
      this.#pauseFor({ ...stopOf(pause), until: Math.min(pause.until, now + LONGEST_PAUSE_MS) })
    if (refusal) this.#refusal = stopOf(refusal)
    else if (this.#refusal && !this.#isWriting) this.#forgetRefusal()
  }

  get refusal(): Stop | undefined {
    return this.#refusal
  }

  get pause(): Stop | undefined {
    return this.#pause && this.#pause.until > this.#clock.now() ? this.#pause : undefined
  }

  rateLimited({ retryAfterMs, message }: RateLimitedError): void {
    const now = this.#clock.now()
    const pauseMs = Math.min(Math.max(retryAfterMs ?? UNSAID_PAUSE_MS, 1000), LONGEST_PAUSE_MS)
    const pause = { since: this.pause?.since ?? now, until: now + pauseMs, why: message }
    this.#pauseFor(pause)
    this.#log.warn({ pauseMs, until: new Date(pause.until).toISOString() }, 'calls.rate_limited')
    this.#ledger.setControl({ name: 'pause', ...pause }).catch((error) => this.#notWritten(error))
  }

  refused({ message }: UnauthorizedError): void {
    const now = this.#clock.now()
    this.#isFirstProbe = false
    this.#refusal = { since: this.#refusal?.since ?? now, until: now + PROBE_EVERY_MS, why: message }
    this.#log.error({ since: this.#refusal.since, nextProbeMs: PROBE_EVERY_MS }, 'calls.refused')
    this.#isWriting = true
    this.#ledger
      .setControl({ name: 'refusal', ...this.#refusal })
      .catch((error) => this.#notWritten(error))
      .finally(() => {
        this.#isWriting = false
      })
  }

  /** A call was answered: whatever refused credentials there were are accepted again. */
  accepted(): void {
    if (!this.#refusal) return
    const refusedForMs = this.#clock.now() - this.#refusal.since
    this.#log.info({ refusedForMs }, 'calls.accepted_again')
    this.#forgetRefusal()
    this.#ledger.endRefusal().catch((error) => this.#notWritten(error))
  }

  /** Where the credentials are refused: whether the next call is the one of all processes that asks. */
  async mayProbe(): Promise<boolean> {
    if (!this.#refusal) return true
    const isFirst = this.#isFirstProbe
    this.#isFirstProbe = false
    if (isFirst) return true
    const isOurs = await this.#ledger.takeProbe(this.#clock.now() + PROBE_EVERY_MS)
    if (!isOurs) await this.reload()
    return isOurs
  }

  /** A call leaves that asks: of all that wait, no other does before it is answered. */
  asks(): void {
    if (this.#refusal) this.#refusal = { ...this.#refusal, until: this.#clock.now() + PROBE_EVERY_MS }
  }

  #pauseFor(pause: Stop): void {
    if (pause.until > (this.#pause?.until ?? 0)) this.#pause = pause
    this.#options.onPause(pause.until)
  }

  #forgetRefusal(): void {
    this.#refusal = undefined
    this.#options.onAccepted()
  }

  // What cannot be written down still holds in this process; the others learn it from their first call.
  #notWritten(error: unknown): void {
    this.#log.error({ err: error }, 'calls.not_written_down')
  }
}

function stopOf({ since, until, why }: Stop): Stop {
  return { since, until, why }
}
