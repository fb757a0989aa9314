import { LONGEST_PAUSE_MS } from '../calls/permits.ts'
import type { Transition } from '../storage/endings/transitions.ts'
import type { EndingRow } from '../storage/schema.ts'
import type { Conclusion } from './attempt.ts'
import { backoff } from './backoff.ts'

/**
 * What a conclusion makes of its ending. `now` is epoch ms, `retryForMs` how long an ending is retried, counted from
 * its first judged result rather than from its due time: one that came due while Curfew was down is not given up at
 * its first failure. `isFirst` says that the failures before this one do not count for how long it waits.
 */
export function transitionFor(
  ending: EndingRow,
  conclusion: Conclusion,
  {
    now,
    retryForMs,
    random,
    isFirst = false,
  }: { now: number; retryForMs: number; random: number; isFirst?: boolean },
): Transition {
  switch (conclusion.kind) {
    case 'ended':
      return { to: 'ended', outcome: 'ended' }
    case 'over':
      return { to: 'ended', outcome: conclusion.outcome }
    case 'failed':
      return { to: 'failed', failure: conclusion.failure, error: conclusion.why }
    case 'released':
      return { to: 'released', error: conclusion.why }
    case 'retry': {
      const retrySince = ending.retry_since ?? now
      const asked = Math.min(conclusion.retryAfterMs ?? 0, LONGEST_PAUSE_MS)
      const failures = isFirst ? 1 : ending.attempt - ending.retry_base + 1
      const nextAttemptAt = now + Math.max(backoff(failures, random), asked)
      const error = conclusion.why
      if (nextAttemptAt > retrySince + retryForMs) return { to: 'failed', failure: 'gave_up', error }
      return { to: 'pending', nextAttemptAt, retrySince, error }
    }
  }
}
