import type { Permit } from '../calls/permits.ts'
import { type Clock, sleepUntil } from '../clock.ts'
import type { ClaimOptions } from '../storage/endings/claims.ts'
import type { Start, Starter } from '../storage/endings/starts.ts'
import { Turns } from '../storage/endings/turns.ts'
import { type Claimed, Executor, type ExecutorOptions, priorityOf } from './executor.ts'
import { LEASE_MS, Leases } from './leases.ts'
import { Loop, type Next } from './loop.ts'
import { Ready } from './ready.ts'

export interface WorkerOptions extends Omit<ExecutorOptions, 'leases'> {
  maxConcurrent: number
}

// While every slot is taken: one whose attempt waits for the budget is an urgent ending's.
const BLOCKED_LOOK_MS = 1000
// What others are just taking is theirs in a moment.
const CONTENDED_MS = 5
// Of several processes that wait for the same due times, one is the first; the others look after it whether it has died.
const YIELD_MS = 20
// So long before something is due it looks once more: that wakes the connection and what else has slept, and takes the permit.
const EARLY_MS = 200
// Others are told no more often than that there is more than this process can take.
const TOLD_EVERY_MS = 1000
const DONE = new Error('done')

/**
 * Carries endings out: sleeps until the next is due, claims as many as there are slots and budget for, and has each
 * executed. What is due when it is stored, it begins without looking for it.
 */
export class Worker implements Starter {
  readonly #options: WorkerOptions
  readonly #clock: Clock
  readonly #loop: Loop
  readonly #executor: Executor
  readonly #leases: Leases
  /** Slots that are taken: by an attempt until its last call is over, or by what is about to be stored. */
  readonly #slots = new Set<Promise<void>>()
  readonly #ready: Ready
  readonly #turns = new Turns()
  #toldAt = Number.NEGATIVE_INFINITY
  /** Whether something was due after the last claim, which got nothing. */
  #wasDue = false
  /** When the next was due, as far as was known when it slept (epoch ms). */
  #expectedAt = Number.POSITIVE_INFINITY
  /** Whether another process was faster the last time that something came due, and so is let go first. */
  #yields = false
  /** How many calls to ask for where none is at hand: more and more, as long as each was needed. */
  #burst = 1
  /** Called when there is room for the next claim. */
  #onRoom: () => void = () => {}
  /** Attempts that are not written down yet. */
  readonly #unfinished = new Set<Promise<void>>()

  constructor(options: WorkerOptions) {
    this.#options = options
    this.#clock = options.ledger.clock
    this.#loop = new Loop({ clock: this.#clock, onTrouble: (error) => this.#trouble(error) })
    this.#leases = new Leases(options.ledger, (error) => this.#trouble(error))
    this.#executor = new Executor({ ...options, leases: this.#leases }, this.#loop.stopping, () =>
      this.#onBlocked(),
    )
    this.#ready = new Ready(options.ledger, options.gate, this.#leases, options.maxConcurrent)
  }

  start(): void {
    const { ledger, gate } = this.#options
    ledger.news.onWork((at) => {
      gate.endsDueAt = Math.min(gate.endsDueAt, at)
      this.#loop.wakeFor(at)
    })
    ledger.signals.onSignal(({ is }) => {
      if (is === 'work') this.#loop.wake()
    })
    ledger.startWith(this)
    this.#leases.start()
    this.#loop.start(() => this.#turn())
  }

  /** A slot and a call for what is due when it is stored; none where something else may be due before it. */
  reserve(caller: string): Start | undefined {
    if (this.#options.gate.brake.isOn(caller)) return undefined
    if (!this.#loop.isAsleep || this.#loop.stopping.aborted) return undefined
    if (this.#slots.size >= this.#options.maxConcurrent) return undefined
    const [permit] = this.#options.gate.takeAtOnce(1)
    if (!permit) {
      // It is stored first, and then claimed: by then there is one.
      this.#options.gate.prepare()
      return undefined
    }
    const free = this.#takeSlot()
    return {
      claimedUntil: this.#clock.now() + LEASE_MS,
      begin: (ending) => this.#begin({ ending, permit, lease: this.#leases.hold(ending) }, free),
      giveBack: () => {
        permit.giveBack()
        free()
        // It may have kept the loop from a slot.
        this.#loop.wake()
      },
    }
  }

  /** Begins nothing more, lets what is running finish for `graceMs`, then cuts it short and gives it back. */
  async stop(graceMs: number): Promise<void> {
    // The loop may still be claiming; what it began before it saw the stop is waited for as well.
    const finished = this.#loop
      .stop()
      .then(() => this.#giveBackReady())
      .then(() => Promise.all(this.#slots))
      .then(() => Promise.all(this.#unfinished))
    const grace = new AbortController()
    const until = this.#clock.now() + graceMs
    await Promise.race([finished, sleepUntil(this.#clock, until, grace.signal)])
    grace.abort(DONE)
    this.#executor.cutShort()
    await finished
    await this.#leases.stop()
  }

  /** One turn: a slot, budget, and the claim of what is due; where it has to wait for budget, it looks for whom first. */
  async #turn(): Promise<Next> {
    const { ledger, gate, maxConcurrent } = this.#options
    // After a refusal a single call asks whether the credentials work, so nothing else may be on its way.
    const free = (gate.refused ? 1 : maxConcurrent) - this.#slots.size
    if (this.#readyMustWait) await this.#giveBackReady()
    if (this.#yields) {
      const next = await ledger.nextAttemptAt(gate.brake.callers)
      if (next === undefined || next + YIELD_MS > this.#clock.now()) return this.#idleUntil(next)
    }
    const room = free + (this.#executor.blocked > 0 ? 0 : this.#ready.room)
    const atOnce = room > 0 ? gate.takeAtOnce(room) : []
    if (atOnce.length > 0) {
      const wasExpected = this.#expectedAt <= this.#clock.now()
      const claimed = await this.#claim(atOnce, free, {})
      if (claimed === 0 && wasExpected) this.#wasSlower()
      if (claimed < atOnce.length) return this.#nothingMore(await ledger.nextAttemptAt(gate.brake.callers))
      // There may be more.
      gate.endsDueAt = this.#clock.now()
      return 'at once'
    }
    if (free + this.#executor.blocked <= 0) return this.#untilFree()
    const due = await ledger.firstDue(gate.brake.callers)
    if (!due) return this.#idleUntil(await ledger.nextAttemptAt(gate.brake.callers))
    gate.endsDueAt = this.#clock.now()
    // An urgent one takes the place of one that waits for the budget, which urgent ones need not wait for.
    if (free <= 0 && !due.urgent) return this.#untilFree()
    const most = Math.min(Math.max(free, 1), this.#burst)
    const isWanted = async () => (await ledger.firstDue(gate.brake.callers)) !== undefined
    const permits = await gate.enter(priorityOf(due), most, this.#loop.woken, isWanted)
    if (permits.length === 0) return 'at once'
    const turns = gate.isShort ? { turns: this.#turns } : {}
    const claimed = await this.#claim(permits, permits.length, { ...turns, isProbe: gate.refused })
    if (claimed > 0) return 'at once'
    this.#wasSlower()
    return this.#nothingMore(await ledger.nextAttemptAt(gate.brake.callers))
  }

  /**
   * Something may have come due since the claim: then it is claimed at once. Where nothing was to be had of it, others have
   * it, or have stopped all calls.
   */
  async #nothingMore(next: number | undefined): Promise<Next> {
    const now = this.#clock.now()
    if (this.#yields && next !== undefined && next + YIELD_MS > now) return this.#idleUntil(next)
    const isDue = next !== undefined && next <= now
    const wasDue = this.#wasDue
    this.#wasDue = isDue
    if (!isDue) return this.#idleUntil(next)
    if (!wasDue) return 'at once'
    await this.#options.gate.reload()
    return this.#options.gate.isOpen ? now + CONTENDED_MS : 'at once'
  }

  #wasSlower(): void {
    this.#yields = this.#options.ledger.isShared
  }

  #idleUntil(next: number | undefined): Next {
    const { gate } = this.#options
    this.#expectedAt = next ?? Number.POSITIVE_INFINITY
    gate.endsDueAt = this.#expectedAt
    if (next === undefined) return undefined
    if (this.#yields) return next + YIELD_MS
    if (next - EARLY_MS > this.#clock.now()) return next - EARLY_MS
    gate.prepare()
    return next
  }

  async #untilFree(): Promise<Next> {
    const { woken } = this.#loop
    this.#tellOthers()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onRoom = resolve
    const lookAgain = sleepUntil(this.#clock, this.#clock.now() + BLOCKED_LOOK_MS, woken)
    await Promise.race([promise, lookAgain])
    this.#loop.wake()
    return 'at once'
  }

  /** There may be more than this process can take. */
  #tellOthers(): void {
    const now = this.#clock.now()
    if (Math.abs(now - this.#toldAt) < TOLD_EVERY_MS) return
    this.#toldAt = now
    this.#options.ledger.signals.send({ is: 'work' })
  }

  /** Slots that are free are for what is claimed already. */
  #beginReady(): void {
    while (this.#slots.size < this.#options.maxConcurrent && !this.#loop.stopping.aborted) {
      const claimed = this.#ready.next()
      if (!claimed) break
      this.#begin(claimed, this.#takeSlot())
    }
  }

  // Nobody may call now, or somebody needs the permits that these have to go on.
  get #readyMustWait(): boolean {
    return !this.#ready.isEmpty && (!this.#options.gate.isOpen || this.#executor.blocked > 0)
  }

  #onBlocked(): void {
    if (!this.#ready.isEmpty) this.#loop.wake()
  }

  #giveBackReady(): Promise<void> {
    return this.#ready.giveBack().catch((error) => this.#trouble(error))
  }

  /** Claims up to as many as there are permits and begins up to `free` of them. Returns how many it has claimed. */
  async #claim(
    permits: Permit[],
    free: number,
    how: Pick<ClaimOptions, 'turns' | 'isProbe'>,
  ): Promise<number> {
    const { ledger, gate } = this.#options
    const unused = new Set(permits)
    // Where the last claim needed all of its permits, this one probably does too.
    const lent = this.#burst > 1 ? 0 : permits.length
    gate.lent += lent
    try {
      const urgentOnly = permits.some(({ forUrgentOnly }) => forUrgentOnly)
      const paused = gate.brake.callers
      const which = { urgentOnly, retriesLast: gate.isTroubled, paused, ...how }
      const claimed = await ledger.claim(permits.length, LEASE_MS, which)
      for (const [index, ending] of claimed.entries()) {
        const permit = permits[index] as Permit
        unused.delete(permit)
        const one = { ending, permit, lease: this.#leases.hold(ending) }
        if (index < free) this.#begin(one, this.#takeSlot())
        else this.#ready.add(one)
      }
      this.#beginReady()
      if (claimed.length > 0) {
        this.#yields = false
        this.#wasDue = false
        // It has come: that the next claim gets nothing says nothing of the others.
        this.#expectedAt = Number.POSITIVE_INFINITY
      }
      this.#burst =
        claimed.length < permits.length ? 1 : Math.min(this.#burst * 2, this.#options.maxConcurrent)
      return claimed.length
    } finally {
      for (const permit of unused) permit.giveBack()
      gate.lent -= lent
    }
  }

  /** Returns how to free it, once or again. */
  #takeSlot(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#slots.add(promise)
    return () => {
      if (!this.#slots.delete(promise)) return
      resolve()
      this.#beginReady()
      if (this.#readyMustWait) this.#loop.wake()
      if (this.#ready.isLow) this.#onRoom()
    }
  }

  #begin(claimed: Claimed, free: () => void): void {
    const beganAt = performance.now()
    const onCallsOver = () => {
      this.#ready.took(performance.now() - beganAt)
      free()
    }
    const work = this.#executor
      .run(claimed, onCallsOver)
      .catch((error) => this.#trouble(error, claimed.ending.id))
      .finally(() => {
        claimed.permit.giveBack()
        this.#leases.letGo(claimed.lease)
        free()
        this.#unfinished.delete(work)
      })
    this.#unfinished.add(work)
  }

  #trouble(error: unknown, ending?: string): void {
    this.#options.log.error(ending === undefined ? { err: error } : { err: error, ending }, 'worker.trouble')
  }
}
