import type { Logger } from 'pino'
import { type CallGate, CallsHeldError } from '../calls/gate.ts'
import { RANK } from '../calls/permits.ts'
import type { Clock } from '../clock.ts'
import { isStartKnown } from '../digital-samba/answers.ts'
import type { CallContext, DigitalSamba } from '../digital-samba/client.ts'
import { DigitalSambaError, NotFoundError } from '../digital-samba/errors.ts'
import { roomId } from '../ending.ts'
import { traceOf } from '../ending-log.ts'
import type { Observed } from '../storage/time-limits/session-limits.ts'
import type { TimeLimitStore } from '../storage/time-limits/time-limit-store.ts'
import { formatTime } from '../time.ts'
import { Loop } from './loop.ts'

export interface SweeperOptions {
  limits: TimeLimitStore
  clock: Clock
  digitalSamba: DigitalSamba
  gate: CallGate
  log: Logger
  /** ms between two sweeps */
  everyMs: number
}

// More webhooks than these are answered faster, and with fewer calls, by going through all that are live.
const MOST_LOOK_UPS = 20

/** A session that began, as a webhook told: only ids. */
export interface Started {
  session: string
  room: string | undefined
}

/**
 * Notices sessions that rules and holds are about: at once where a webhook tells of one, and for certain by going
 * through all that are live, again and again. Without rules and holds it makes no call.
 */
export class Sweeper {
  readonly #options: SweeperOptions
  readonly #clock: Clock
  readonly #loop: Loop
  #isSweepRequested = false
  #sweptAt: number | undefined

  constructor(options: SweeperOptions) {
    this.#options = options
    this.#clock = options.clock
    const onTrouble = (error: unknown) => this.#trouble(error)
    this.#loop = new Loop({ clock: this.#clock, onTrouble, lookAgainMs: options.everyMs })
  }

  /**
   * When (epoch ms) this process last got to the end of a sweep, or found that there is something to sweep for; undefined
   * where there is neither rule nor hold.
   */
  get sweptAt(): number | undefined {
    return this.#sweptAt
  }

  start(): void {
    this.#options.limits.onChange(() => this.#loop.wake())
    this.#loop.start(() => this.#turn())
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  /** A session has begun. What cannot be looked up now is found by the next sweep. */
  observeStarted(started: Started): void {
    if (this.#loop.running < MOST_LOOK_UPS) this.#loop.begin(this.#lookAt(started))
    else if (!this.#isSweepRequested) {
      this.#isSweepRequested = true
      this.#loop.begin(this.#options.limits.requestSweep())
    }
  }

  /** Sweeps if it is time. Returns when to look again (epoch ms). */
  async #turn(): Promise<number> {
    const { limits, everyMs } = this.#options
    // Of a session that begins from now on, this sweep may know nothing.
    this.#isSweepRequested = false
    this.#report(await limits.finishChanges())
    if (!(await limits.isNeeded())) {
      this.#sweptAt = undefined
      return this.#clock.now() + everyMs
    }
    this.#sweptAt ??= this.#clock.now()
    const { claimed, nextAt } = await limits.claimSweep(everyMs)
    if (claimed) await this.#sweep()
    return nextAt
  }

  /** Page by page, so that memory is bounded by a page however many sessions there are. */
  async #sweep(): Promise<void> {
    const { digitalSamba, limits } = this.#options
    for await (const page of digitalSamba.liveSessions(undefined, this.#context()))
      this.#report(await limits.observe(page.filter(isStartKnown)))
    this.#sweptAt = this.#clock.now()
  }

  async #lookAt({ session, room }: Started): Promise<void> {
    const { limits, digitalSamba } = this.#options
    if (!(await limits.isNeeded(room === undefined ? undefined : roomId(room)))) return
    const found = await digitalSamba.session(session, this.#context())
    if (found.live && isStartKnown(found)) this.#report(await limits.observe([found]))
  }

  #context(): CallContext {
    return this.#options.gate.context(RANK.sweep, this.#loop.stopping)
  }

  #report(observed: Observed[]): void {
    for (const { ending, how } of observed) {
      const { id, target_kind, target_id, requested_by: requestedBy, reason, key, due_at } = ending
      const about = {
        ending: id,
        target: `${target_kind}:${target_id}`,
        requestedBy,
        by: 'curfew',
        reason,
        key,
        ...traceOf(ending),
      }
      this.#options.log.info({ ...about, dueAt: formatTime(due_at) }, `ending.${how}`)
    }
  }

  // Whatever went wrong, the next sweep begins anew.
  #trouble(error: unknown): void {
    const { log } = this.#options
    if (error instanceof NotFoundError) return
    if (error instanceof CallsHeldError || error instanceof DigitalSambaError)
      log.warn({ err: error }, 'sweep.cut_short')
    else log.error({ err: error }, 'sweep.trouble')
  }
}
