import { type CallGate, CallsHeldError } from '../calls/gate.ts'
import { RANK } from '../calls/permits.ts'
import type { Clock } from '../clock.ts'
import type { DigitalSamba } from '../digital-samba/client.ts'
import { DigitalSambaError, NotFoundError } from '../digital-samba/errors.ts'
import { traceOf } from '../ending-log.ts'
import type { EndingRow } from '../storage/schema.ts'
import { inPieces } from '../turns.ts'
import { resolve } from './attempt.ts'
import { SharedListing } from './listing.ts'

/** The sessions that endings would end now, null where that cannot be told; `why` says what there is to say of it. */
export interface Foreseen {
  sessions: string[] | null
  why?: string
}

export interface ForesightOptions {
  digitalSamba: DigitalSamba
  gate: CallGate
  clock: Clock
}

// Somebody waits for it, and it must not take the budget from ends for long.
const PATIENCE_MS = 3000
const LOOK_UPS_AT_ONCE = 10
// What is no end has some ninety calls a minute, and sweeps and warnings need theirs.
const MOST_LOOK_UPS = 50

/** What would be ended, found in the way in which it would be, but not ended. */
export class Foresight {
  readonly #options: ForesightOptions
  // Of its own: an end that shared one would wait with it, at its rank and until its end.
  readonly #listing: SharedListing

  constructor(options: ForesightOptions) {
    this.#options = options
    this.#listing = new SharedListing(options.clock)
  }

  /** What is not due yet, or not pending, ends nothing now. */
  async of(endings: EndingRow[]): Promise<Foreseen> {
    const now = this.#options.clock.now()
    const due = endings.filter(({ state, next_attempt_at }) => state === 'pending' && next_attempt_at <= now)
    const obstacle = this.#pauseOf(due) ?? this.#obstacle(lookUpsFor(due))
    if (obstacle !== undefined) return { sessions: null, why: obstacle }
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const found: Found[] = []
    try {
      for await (const some of inPieces(due, LOOK_UPS_AT_ONCE))
        found.push(...(await Promise.all(some.map((ending) => this.#find(ending, signal)))))
    } catch (error) {
      if (!(error instanceof DigitalSambaError || error instanceof CallsHeldError)) throw error
      return { sessions: null, why: signal.aborted ? TOO_LONG : error.message }
    }
    const why = [...new Set(found.flatMap((one) => one.why ?? []))].join('; ')
    const sessions = [...new Set(found.flatMap((one) => one.sessions))]
    return { sessions, ...(why === '' ? {} : { why }) }
  }

  #pauseOf(due: EndingRow[]): string | undefined {
    const { brake } = this.#options.gate
    const paused = due.find((ending) => brake.isOn(ending.requested_by))
    if (!paused) return undefined
    return brake.ofAll
      ? `all calls are paused: ${brake.ofAll.reason}`
      : `what ${paused.requested_by} asks for is paused by an operator`
  }

  /**
   * Why so many calls may not be made. The one that asks whether calls work again is not made for this: what it learns is
   * written down.
   */
  #obstacle(lookUps: number): string | undefined {
    const { gate } = this.#options
    if (lookUps > MOST_LOOK_UPS) return `${lookUps} rooms are due, and at most ${MOST_LOOK_UPS} are looked up`
    if (lookUps === 0 || gate.isOpen) return undefined
    const { state, why } = gate.status()
    return `no call to Digital Samba may leave now (${[state, why].filter((word) => word !== undefined).join(': ')})`
  }

  async #find(ending: EndingRow, signal: AbortSignal): Promise<Found> {
    const { digitalSamba, gate } = this.#options
    const context = gate.context(RANK.warning, signal, traceOf(ending))
    try {
      const { sessions, isIncomplete } = await resolve(ending, {
        digitalSamba,
        listing: this.#listing,
        context,
      })
      return { sessions, why: isIncomplete ? 'a session in the room was told without an id' : undefined }
    } catch (error) {
      if (!(error instanceof NotFoundError) || ending.target_kind !== 'room') throw error
      return { sessions: [], why: `Digital Samba knows no room ${ending.target_id}` }
    }
  }
}

/** One for each room; all that are named by external ids share one. */
function lookUpsFor(due: EndingRow[]): number {
  const rooms = due.filter(({ target_kind }) => target_kind === 'room').length
  return rooms + (due.some(({ target_kind }) => target_kind === 'external') ? 1 : 0)
}

interface Found {
  sessions: string[]
  why: string | undefined
}

const TOO_LONG = `it could not be looked up within ${PATIENCE_MS / 1000} s`
