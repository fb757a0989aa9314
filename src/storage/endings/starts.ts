import type { Clock } from '../../clock.ts'
import type { Instruction } from '../../ending.ts'
import type { EndingRow } from '../schema.ts'

/** A place for one ending that is carried out as soon as it is stored. */
export interface Start {
  /** epoch ms; it is somebody else's from then on, where this process has died */
  claimedUntil: number
  begin(ending: EndingRow): void
  giveBack(): void
}

/** Carries out what is due when it is stored, so that nobody has to look for it. */
export interface Starter {
  /** For one of that caller; undefined where it is not its turn: it is paused, no place is free, or no call is left, or something that is due comes before */
  reserve(caller: string): Start | undefined
}

/** Does `work` with places for what it stores; those that it has not begun anything in are given back. */
export async function withStarts<T>(
  starter: Starter | undefined,
  clock: Clock,
  work: (starts: Starts) => Promise<T>,
): Promise<T> {
  const starts = new Starts(starter, clock)
  try {
    return await work(starts)
  } finally {
    starts.giveBack()
  }
}

/** The places for what one request stores. */
class Starts {
  readonly #starter: Starter | undefined
  readonly #clock: Clock
  readonly #reserved: Start[] = []

  constructor(starter: Starter | undefined, clock: Clock) {
    this.#starter = starter
    this.#clock = clock
  }

  /** Until when (epoch ms) an instruction is claimed where it is stored now; null where somebody has to look for it. */
  claimFor({ dueAt, requestedBy }: Instruction): number | null {
    if (dueAt > this.#clock.now()) return null
    const start = this.#starter?.reserve(requestedBy)
    if (start) this.#reserved.push(start)
    return start?.claimedUntil ?? null
  }

  /** Begins an ending that was stored claimed. One place is as good as another. */
  begin(ending: EndingRow): void {
    if (ending.state === 'pending' && ending.claimed_until !== null) this.#reserved.pop()?.begin(ending)
  }

  giveBack(): void {
    for (const start of this.#reserved.splice(0)) start.giveBack()
  }
}
