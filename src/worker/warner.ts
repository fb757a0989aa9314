import type { Logger } from 'pino'
import { type CallGate, CallsHeldError } from '../calls/gate.ts'
import { RANK } from '../calls/permits.ts'
import { type Clock, sleepUntil } from '../clock.ts'
import type { DigitalSamba } from '../digital-samba/client.ts'
import { traceOf } from '../ending-log.ts'
import type { Ledger } from '../storage/ledger.ts'
import type { EndingRow, WarningRow } from '../storage/schema.ts'
import type { TimeLimitStore } from '../storage/time-limits/time-limit-store.ts'
import { type Warning, warningText } from '../time-limits/warnings.ts'
import { ChatRooms, nobodyThere } from './chat-rooms.ts'
import type { SharedListing } from './listing.ts'
import { Loop, type Next } from './loop.ts'
import { logTrouble } from './trouble.ts'

export interface WarnerOptions {
  ledger: Ledger
  limits: TimeLimitStore
  digitalSamba: DigitalSamba
  gate: CallGate
  listing: SharedListing
  log: Logger
  /** with `{minutes}` and `{time}` */
  text: string
}

// Few, so that chats never take the connections that ends need.
const MOST_AT_ONCE = 4
// How long one may wait for the call budget: after that the minutes it tells are no longer right.
const PATIENCE_MS = 30_000

/**
 * Writes warnings into the chats of sessions that are going to be ended. Each is marked before it is sent: first for its
 * ending, then for the room, since other endings may have warned there a moment ago.
 */
export class Warner {
  readonly #options: WarnerOptions
  readonly #clock: Clock
  readonly #loop: Loop
  readonly #rooms: ChatRooms

  constructor(options: WarnerOptions) {
    this.#options = options
    this.#clock = options.ledger.clock
    this.#rooms = new ChatRooms({ ...options, clock: this.#clock })
    const onTrouble = logTrouble(options.log, 'warner')
    this.#loop = new Loop({ clock: this.#clock, onTrouble, mostAtOnce: MOST_AT_ONCE })
  }

  start(): void {
    this.#options.ledger.news.onWarning((at) => this.#loop.wakeFor(at))
    this.#loop.start(() => this.#turn())
  }

  /** Cuts messages short: what is marked is not sent again. */
  stop(): Promise<void> {
    return this.#loop.stop()
  }

  async #turn(): Promise<Next> {
    const { limits } = this.#options
    const next = await limits.nextWarning()
    if (next === undefined || next > this.#clock.now()) return next
    const marked = await limits.markWarning()
    if (marked?.warning) this.#loop.begin(this.#warn(marked.ending, marked.warning))
    return 'at once'
  }

  async #warn(ending: EndingRow, warning: Warning): Promise<void> {
    const { limits, log } = this.#options
    const { minutes, toldMinutes } = warning
    const about = { ending: ending.id, minutes, ...traceOf(ending) }
    const result = await this.#send(ending, warning).catch((error) => {
      log.warn({ err: error, ...about }, 'warning.failed')
      return 'failed' as const
    })
    await limits.finishWarning(ending, warning, result)
    if (result !== 'failed') log.info({ ...about, toldMinutes }, `warning.${result}`)
  }

  async #send(ending: EndingRow, warning: Warning): Promise<WarningRow['result']> {
    const { digitalSamba, gate, limits, text } = this.#options
    if (gate.brake.isOn(ending.requested_by)) throw new CallsHeldError('paused by an operator')
    const first = await limits.inForce(ending)
    if (first && first.id !== ending.id && first.due_at < ending.due_at) return 'superseded'
    const done = new AbortController()
    const signal = this.#whileRight(ending, done.signal)
    const context = gate.context(RANK.warning, signal, { at: ending.due_at, ...traceOf(ending) })
    let sent = false
    try {
      const rooms = await this.#rooms.of(ending, context)
      const allowed = await limits.roomsToWarn(ending, warning, rooms)
      if (rooms.length > 0 && allowed.length === 0) return 'too_soon'
      for (const room of allowed) {
        const message = warningText(text, warning, ending.due_at)
        const isThere = await digitalSamba.chat(room, message, context).then(() => true, nobodyThere)
        sent ||= isThere
      }
    } finally {
      done.abort()
    }
    return sent ? 'sent' : 'nobody_there'
  }

  /** Aborts when the ending is due, or before: a message that comes late, or holds the end up, is worse than none. */
  #whileRight(ending: EndingRow, done: AbortSignal): AbortSignal {
    const due = new AbortController()
    const until = Math.min(ending.due_at, this.#clock.now() + PATIENCE_MS)
    void sleepUntil(this.#clock, until, done).then(() => due.abort())
    return AbortSignal.any([this.#loop.stopping, due.signal])
  }
}
