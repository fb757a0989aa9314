import type { PermitKind } from '../storage/schema.ts'

/** Who goes first when calls are short; within a rank the earlier `at` (epoch ms) does. */
export const RANK = { urgent: 0, ending: 1, warning: 2, sweep: 3, confirmation: 4 } as const
export type Rank = (typeof RANK)[keyof typeof RANK]
export interface Priority {
  rank: Rank
  at: number
}

/** The right to make one call. It counts against the budget until it is given back unused. */
export interface Permit {
  /** It is one of the few that only urgent endings may use. */
  readonly forUrgentOnly: boolean
  /** The call leaves now. False where it was held for too long, or none may leave: then another is needed. */
  spend(): boolean
  giveBack(): void
}

/** How many calls may leave in a minute; urgent endings may use a few more. */
export interface CallLimits {
  perMinute: number
  urgentPerMinute: number
}

/** A permit that was taken until `until`, and is free again earlier (epoch ms), since it was spent at once. */
export interface Spent {
  kind: PermitKind
  slot: number
  until: number
  freeAt: number
}

/** Where permits are kept for all processes that share them. Times are epoch ms. */
export interface PermitSource {
  /** Takes up to `most` free ones until `until`; `opensAt` is when the next is free where there were fewer. */
  take(kind: PermitKind, most: number, until: number): Promise<{ slots: number[]; opensAt: number }>
  /** How many are taken, counted no further than `most`. */
  taken(kind: PermitKind, most: number): Promise<number>
  giveBack(kind: PermitKind, slots: number[], until: number): Promise<void>
  /** Each is free again at its `freeAt` instead of `until`. */
  settle(spent: Spent[]): Promise<void>
  /** None is taken beyond `latest`. */
  mend(latest: number): Promise<void>
}

/**
 * Digital Samba counts calls in minutes that begin when it likes, so at most `perMinute` in *any* 60 seconds is what
 * keeps to all of them; the 61st second is for calls that take longer on the way than the ones before them.
 */
export const WINDOW_MS = 61_000
/**
 * A permit may be spent so long after it was taken, and its row counts as taken for a window beyond that, whoever dies.
 * Once it is spent, its row is told when that was.
 */
export const HOLD_MS = 5_000
/** The longest anybody is believed who asks to be left alone. */
export const LONGEST_PAUSE_MS = 10 * 60_000

// What is not an end may use this part of the calls, so that ends which come later always find the rest.
const SHARE_OF_OTHERS = 0.1
// Of that share, a part is left for people who ask.
const SHARE_OF_SWEEPS = 0.8

/** How many permits there are of each kind. */
export function permitCounts({ perMinute, urgentPerMinute }: CallLimits): Record<PermitKind, number> {
  const other = Math.max(Math.floor(perMinute * SHARE_OF_OTHERS), 1)
  const sweep = Math.max(Math.floor(other * SHARE_OF_SWEEPS), 1)
  return { call: perMinute, urgent: urgentPerMinute - perMinute, other, sweep }
}
