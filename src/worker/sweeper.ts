import type { Logger } from 'pino'
import { RANK } from '../calls/budget.ts'
import { type CallGate, CallsHeldError } from '../calls/gate.ts'
import { type Clock, sleepUntil } from '../clock.ts'
import { isStartKnown } from '../digital-samba/answers.ts'
import type { CallContext, DigitalSamba } from '../digital-samba/client.ts'
import { DigitalSambaError, NotFoundError } from '../digital-samba/errors.ts'
import { roomId } from '../ending.ts'
import type { Observed } from '../storage/time-limits/session-limits.ts'
import type { TimeLimitStore } from '../storage/time-limits/time-limit-store.ts'
import { formatTime } from '../time.ts'

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
  readonly #stopping = new AbortController()
  readonly #looking = new Set<Promise<void>>()
  #isSweepRequested = false
  #wake = new AbortController()
  #loop: Promise<void> | undefined

  constructor(options: SweeperOptions) {
    this.#options = options
    this.#clock = options.clock
  }

  start(): void {
    this.#options.limits.onChange(() => this.#wake.abort())
    this.#loop = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#wake.abort()
    await this.#loop
    await Promise.all(this.#looking)
  }

  /** A session has begun. What cannot be looked up now is found by the next sweep. */
  observeStarted(started: Started): void {
    if (this.#looking.size < MOST_LOOK_UPS) this.#begin(this.#lookAt(started))
    else if (!this.#isSweepRequested) {
      this.#isSweepRequested = true
      this.#begin(this.#options.limits.requestSweep())
    }
  }

  #begin(work: Promise<void>): void {
    const looking = work.catch((error) => this.#trouble(error)).finally(() => this.#looking.delete(looking))
    this.#looking.add(looking)
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#wake = new AbortController()
      const until = await this.#turn().catch((error) => {
        this.#trouble(error)
        return this.#clock.now() + Math.min(this.#options.everyMs, 1000)
      })
      if (!this.#stopping.signal.aborted) await sleepUntil(this.#clock, until, this.#wake.signal)
    }
  }

  /** Sweeps if it is time. Returns when to look again (epoch ms). */
  async #turn(): Promise<number> {
    const { limits, everyMs } = this.#options
    // Of a session that begins from now on, this sweep may know nothing.
    this.#isSweepRequested = false
    this.#report(await limits.finishChanges())
    if (!(await limits.isNeeded())) return this.#clock.now() + everyMs
    const { claimed, nextAt } = await limits.claimSweep(everyMs)
    if (claimed) await this.#sweep()
    return nextAt
  }

  /** Page by page, so that memory is bounded by a page however many sessions there are. */
  async #sweep(): Promise<void> {
    const { digitalSamba, limits } = this.#options
    for await (const page of digitalSamba.liveSessions(undefined, this.#context()))
      this.#report(await limits.observe(page.filter(isStartKnown)))
  }

  async #lookAt({ session, room }: Started): Promise<void> {
    const { limits, digitalSamba } = this.#options
    if (!(await limits.isNeeded(room === undefined ? undefined : roomId(room)))) return
    const found = await digitalSamba.session(session, this.#context())
    if (found.live && isStartKnown(found)) this.#report(await limits.observe([found]))
  }

  #context(): CallContext {
    return this.#options.gate.context(RANK.sweep, this.#stopping.signal)
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
      }
      this.#options.log.info({ ...about, dueAt: formatTime(due_at) }, `ending.${how}`)
    }
  }

  // Whatever went wrong, the next sweep begins anew.
  #trouble(error: unknown): void {
    const { log } = this.#options
    if (this.#stopping.signal.aborted || error instanceof NotFoundError) return
    if (error instanceof CallsHeldError || error instanceof DigitalSambaError)
      log.warn({ err: error }, 'sweep.cut_short')
    else log.error({ err: error }, 'sweep.trouble')
  }
}
