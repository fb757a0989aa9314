import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { type Clock, sleepUntil } from '../clock.ts'
import { traceOf } from '../ending-log.ts'
import { eventType, originOf, type Receiver } from '../notification.ts'
import type { Ledger } from '../storage/ledger.ts'
import type { NotificationStore } from '../storage/notifications/notification-store.ts'
import type { EndingRow, NotificationRow } from '../storage/schema.ts'
import { formatTime } from '../time.ts'
import type { Delivered, Deliverer } from './delivery.ts'
import { Loop, type Next } from './loop.ts'
import { judge, type Verdict } from './notification-backoff.ts'
import { logTrouble } from './trouble.ts'

export interface NotifierOptions {
  ledger: Ledger
  notifications: NotificationStore
  deliverer: Deliverer
  log: Logger
  /** What a receiver is told: the body, the same at every try. */
  bodyOf: (notification: NotificationRow) => Promise<string>
  /** told what each try came to */
  onTried?: (state: Verdict['state']) => void
  random?: () => number
}

const AT_ONCE = 4
// Looked up together, so that a crowd costs one look for so many.
const AHEAD = 32
// A try takes ten seconds at most, and begins within five of the last renewal: it is over before anybody else may begin.
const LEASE_MS = 15_000
const RENEWED_MS = 5_000
const BUSY_LOOK_MS = 1000
const AFTER_TROUBLE_MS = 1000
const DONE = new Error('done')
const CUT_SHORT = new Error('cut short')

/**
 * Tells one caller what became of its endings, as long as this process has the lease for it: of several processes one
 * does, four at once. Each caller has its own, so that a slow one delays nobody else.
 */
export class Notifier {
  readonly #receiver: Receiver
  readonly #options: NotifierOptions
  readonly #clock: Clock
  readonly #loop: Loop
  readonly #holder = randomUUID()
  readonly #cut = new AbortController()
  /** What is due and was looked up, and not begun. */
  #ahead: NotificationRow[] = []
  /** What is under way, or not written down yet. */
  readonly #begun = new Set<string>()
  #renewedAt = Number.NEGATIVE_INFINITY
  #isHolding = false
  /** Whether the last try has failed; unknown at first. */
  #isFailing: boolean | undefined

  constructor(receiver: Receiver, options: NotifierOptions) {
    this.#receiver = receiver
    this.#options = options
    this.#clock = options.ledger.clock
    const onTrouble = logTrouble(options.log, 'notifications')
    this.#loop = new Loop({ clock: this.#clock, onTrouble, mostAtOnce: AT_ONCE })
  }

  start(): void {
    this.#options.ledger.news.onToTell(this.#receiver.caller, () => this.#loop.wake())
    this.#loop.start(() => this.#turn())
  }

  /** Begins nothing more, lets what is under way finish for `graceMs`, then cuts it off: it is told again by whoever comes. */
  async stop(graceMs: number): Promise<void> {
    const stopped = this.#loop.stop()
    const grace = new AbortController()
    const until = this.#clock.now() + graceMs
    await Promise.race([stopped, sleepUntil(this.#clock, until, grace.signal)])
    grace.abort(DONE)
    this.#cut.abort(CUT_SHORT)
    await stopped
    await this.#letGo().catch(logTrouble(this.#options.log, 'notifications'))
  }

  async #turn(): Promise<Next> {
    if (this.#ahead.length === 0) {
      const next = await this.#lookAhead()
      if (next !== 'at once') return next
    }
    const heldBy = await this.#hold()
    if (heldBy !== undefined) {
      this.#ahead = []
      return heldBy
    }
    const notification = this.#ahead.shift()
    if (notification) this.#loop.begin(this.#tell(notification))
    return 'at once'
  }

  /** What is due is `#ahead` then; where nothing is, when there will be, and somebody else may tell this caller. */
  async #lookAhead(): Promise<Next> {
    const { notifications } = this.#options
    const { caller } = this.#receiver
    // One that is written down while this is read may be read as it was before.
    const begun = new Set(this.#begun)
    const due = await notifications.due(caller, AHEAD + begun.size)
    this.#ahead = due.filter(({ id }) => !begun.has(id))
    if (this.#ahead.length > 0) return 'at once'
    // Whatever is under way looks again when it is over; what other processes have written, nobody here hears of.
    if (this.#begun.size > 0) return this.#clock.now() + BUSY_LOOK_MS
    if (!this.#isHolding) return notifications.nextDue(caller)
    await this.#letGo()
    // What came before that, its own process may have left to this one.
    return 'at once'
  }

  /** Has the lease for long enough to try; else until when another process has it. */
  async #hold(): Promise<number | undefined> {
    const now = this.#clock.now()
    if (this.#isHolding && Math.abs(now - this.#renewedAt) < RENEWED_MS) return undefined
    const holding = { caller: this.#receiver.caller, holder: this.#holder, until: now + LEASE_MS }
    const heldBy = await this.#options.notifications.hold(holding)
    // How it did in other hands is not known here.
    if (!this.#isHolding) this.#isFailing = undefined
    this.#isHolding = heldBy === undefined
    if (this.#isHolding) this.#renewedAt = now
    return heldBy
  }

  async #letGo(): Promise<void> {
    if (!this.#isHolding) return
    this.#isHolding = false
    await this.#options.notifications.letGo({ caller: this.#receiver.caller, holder: this.#holder })
  }

  async #tell(notification: NotificationRow): Promise<void> {
    const { id } = notification
    this.#begun.add(id)
    try {
      const delivered = await this.#deliver(notification)
      if (delivered) await this.#settle(notification, delivered)
    } finally {
      this.#begun.delete(id)
      this.#loop.wake()
    }
  }

  async #deliver(notification: NotificationRow): Promise<Delivered | undefined> {
    const { bodyOf, deliverer } = this.#options
    const { traceparent } = endingOf(notification)
    const message = { id: notification.id, body: await bodyOf(notification), traceparent }
    return deliverer.deliver(this.#receiver, message, this.#cut.signal)
  }

  async #settle(notification: NotificationRow, delivered: Delivered): Promise<void> {
    const { random = Math.random, onTried } = this.#options
    const tries = notification.attempt + 1 - notification.retry_base
    const to = judge(delivered, { tries, now: this.#clock.now(), random: random() })
    await this.#writeDown(notification, delivered, to)
    onTried?.(to.state)
    this.#log(notification, delivered, to)
    await this.#noteHealth(delivered.error)
  }

  /** Keeps trying while nobody else may tell it: a result that is lost is told twice. */
  async #writeDown(notification: NotificationRow, delivered: Delivered, to: Verdict): Promise<void> {
    const { startedAt: started_at, durationMs: duration_ms, status, error, answer } = delivered
    const tried = { started_at, duration_ms, status, error, answer }
    for (;;) {
      try {
        return await this.#options.notifications.settle({ notification, tried, to })
      } catch (failure) {
        const isLost = this.#clock.now() >= this.#renewedAt + LEASE_MS
        if (isLost || this.#cut.signal.aborted) throw failure
        await this.#clock.sleep(AFTER_TROUBLE_MS, this.#cut.signal)
      }
    }
  }

  /** A receiver that nothing has reached for a day has a line at `error`. */
  async #noteHealth(error: string | null): Promise<void> {
    const { notifications, log } = this.#options
    const { caller } = this.#receiver
    const about = { caller, to: originOf(this.#receiver) }
    const wasFailing = this.#isFailing
    this.#isFailing = error !== null
    if (error !== null) {
      const since = await notifications.noteFailure(caller, error)
      if (since !== undefined)
        log.error({ ...about, failingSince: formatTime(since), error }, 'notifications.dead')
    } else if (wasFailing !== false) {
      const since = await notifications.noteSuccess(caller)
      if (since !== undefined)
        log.info({ ...about, failingSince: formatTime(since) }, 'notifications.recovered')
    }
  }

  /** One wide line for each try. */
  #log(notification: NotificationRow, { status, durationMs, error }: Delivered, to: Verdict): void {
    const { id, ending_id: ending, caller, type, attempt } = notification
    const line = {
      notification: id,
      ending,
      caller,
      type: eventType(type),
      attempt: attempt + 1,
      status,
      durationMs,
      result: to.state === 'pending' ? 'retry' : to.state,
      error,
      nextAttemptAt: to.state === 'pending' ? formatTime(to.nextAttemptAt) : null,
      ...traceOf(endingOf(notification)),
    }
    this.#options.log[LEVELS[to.state]](line, 'notification.attempted')
  }
}

const LEVELS = { told: 'info', pending: 'warn', failed: 'error' } as const

function endingOf({ ending }: NotificationRow): EndingRow {
  return JSON.parse(ending)
}
