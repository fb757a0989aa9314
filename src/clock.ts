/**
 * Time as an argument. Nothing but this file reads the system clock, so that tests can move time by hand
 * and so that replicas on PostgreSQL can agree on one clock.
 */
export interface Clock {
  /** Epoch milliseconds, a whole number. */
  now(): number
  /**
   * Resolves after `ms` milliseconds, or at once when `signal` aborts; it never rejects. May resolve early by up to
   * a day's cap or a stepped clock: whoever waits for an instant looks at `now()` again.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

// setTimeout fires at once beyond 2^31-1 ms; and a machine that was suspended or whose clock was set should notice.
const LONGEST_TIMER_MS = 60_000

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const done = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, Math.min(Math.max(ms, 0), LONGEST_TIMER_MS))
      signal?.addEventListener('abort', done, { once: true })
    }),
}

/** Sleeps until `clock.now()` has reached `at` (epoch ms) or `signal` aborts. */
export async function sleepUntil(clock: Clock, at: number, signal?: AbortSignal): Promise<void> {
  for (let left = at - clock.now(); left > 0 && !signal?.aborted; left = at - clock.now()) {
    await clock.sleep(left, signal)
  }
}

/** The same clock, `offset()` milliseconds ahead: how the database's time is told without asking it every time. */
export function shiftedClock(clock: Clock, offset: () => number): Clock {
  return { now: () => clock.now() + offset(), sleep: (ms, signal) => clock.sleep(ms, signal) }
}

/**
 * How far two clocks may be apart (ms): replicas differ by some ms, and Digital Samba tells whole seconds by a clock of
 * its own. Whatever compares times of two clocks allows for it.
 */
export const CLOCK_DOUBT_MS = 2000
