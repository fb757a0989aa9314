// Shaped for people in a room who should be out of it, not for background mail.
const STEPS_SECONDS = [1, 2, 5, 10, 20, 30, 60]
const JITTER = 0.2

/** How long to wait (ms) after the `failures`-th failure in a row, give or take a fifth; `random` is in [0, 1). */
export function backoff(failures: number, random: number): number {
  const step = STEPS_SECONDS[Math.min(Math.max(failures, 1), STEPS_SECONDS.length) - 1] as number
  return Math.round(step * 1000 * (1 - JITTER + 2 * JITTER * random))
}
