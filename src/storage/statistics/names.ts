import { bucketOf } from '../../lateness.ts'

/** What is counted has a name. How often each was, in one transaction: */
export type Counts = Map<string, number>

/** An outcome, a failure, or `cancelled`: what an ending came to when it was over. */
export const FINISHED = 'finished:'
/** End calls, by the HTTP status of their answer. */
export const CALL = 'call:'
export const NO_ANSWER = 'none'
/** The first end calls of endings, by the bucket of their lateness. */
export const LATE = 'late:'
/** Not a count: the greatest lateness (ms). */
export const MOST = 'most'

function add(counts: Counts, name: string, more = 1): void {
  counts.set(name, (counts.get(name) ?? 0) + more)
}

export function addFinished(counts: Counts, result: string): void {
  add(counts, FINISHED + result)
}

export function addCall(counts: Counts, status: number | null): void {
  add(counts, CALL + (status ?? NO_ANSWER))
}

export function addLateness(counts: Counts, ms: number): void {
  add(counts, LATE + bucketOf(ms))
  counts.set(MOST, Math.max(counts.get(MOST) ?? 0, ms))
}
