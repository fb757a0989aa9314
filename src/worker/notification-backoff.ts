import type { Delivered } from './delivery.ts'

const [SECOND_MS, MINUTE_MS, HOUR_MS] = [1000, 60_000, 3_600_000]
const STEPS_MS = [
  5 * SECOND_MS,
  30 * SECOND_MS,
  2 * MINUTE_MS,
  10 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  6 * HOUR_MS,
  12 * HOUR_MS,
]
const JITTER = 0.2
// Whoever asks to be left alone for longer has probably mistaken the unit.
const LONGEST_RETRY_AFTER_MS = 24 * HOUR_MS
const GONE = 410

/** What a try makes of its notification. */
export type Verdict = { state: 'told' } | { state: 'failed' } | { state: 'pending'; nextAttemptAt: number }

/** After the `tries`-th try since it was made, or since somebody had it tried again; `now` epoch ms, `random` in [0, 1). */
export function judge(
  { status, error, retryAfterMs = 0 }: Delivered,
  { tries, now, random }: { tries: number; now: number; random: number },
): Verdict {
  if (error === null) return { state: 'told' }
  const step = STEPS_MS[tries - 1]
  if (status === GONE || step === undefined) return { state: 'failed' }
  const wait = Math.round(step * (1 - JITTER + 2 * JITTER * random))
  return {
    state: 'pending',
    nextAttemptAt: now + Math.max(wait, Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS)),
  }
}
