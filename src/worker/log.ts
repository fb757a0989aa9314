import type { Logger } from 'pino'
import { fields } from '../ending-log.ts'
import { latenessMs } from '../lateness.ts'
import type { Call } from '../storage/endings/attempts.ts'
import type { Transition } from '../storage/endings/transitions.ts'
import type { EndingRow } from '../storage/schema.ts'
import { formatTime } from '../time.ts'
import type { AttemptReport } from './attempt.ts'

/**
 * One wide line for each end call, or one for an attempt that came to none. The last of an attempt that ends its ending
 * says so (`state`, `outcome`); one that fails for good has a line of its own, at `error`.
 */
export function logAttempt(
  log: Logger,
  ending: EndingRow,
  { calls, conclusion, leftAlone }: AttemptReport,
  transition: Transition,
  after: EndingRow | undefined,
): void {
  const about = { ...fields(ending), attempt: ending.attempt + 1 }
  const nextAttemptAt = transition.to === 'pending' ? formatTime(transition.nextAttemptAt) : null
  const why = 'why' in conclusion ? conclusion.why : undefined
  const isOver = after?.state === 'ended'
  const over = isOver && { state: after.state, outcome: after.outcome, ...spared(leftAlone) }
  for (const call of calls) {
    const line = { ...about, ...callFields(ending, call), nextAttemptAt }
    log[levelOf(call)](over && call === calls.at(-1) ? { ...line, ...over } : line, 'ending.attempted')
  }
  if (calls.length === 0 && (why !== undefined || over))
    log[over ? 'info' : 'warn'](
      { ...about, session: null, result: conclusion.kind, why, nextAttemptAt, ...over },
      'ending.attempted',
    )
  if (!after) log.warn({ ...about, conclusion: conclusion.kind }, 'ending.report_too_late')
  else if (after.state === 'failed')
    log.error({ ...about, failure: after.failure, why, ...spared(leftAlone) }, 'ending.failed')
}

function callFields(ending: EndingRow, call: Call) {
  const { session, status, duration_ms: durationMs, result, error } = call
  return { session, status, durationMs, result, error, latenessMs: latenessMs(ending, call.started_at) }
}

function levelOf({ result }: Call): 'info' | 'warn' {
  return result === 'ended' || result === 'already_ended' ? 'info' : 'warn'
}

// The answer to "why did it not end that one?".
function spared(leftAlone: AttemptReport['leftAlone']) {
  if (leftAlone.length === 0) return {}
  return {
    leftAlone: leftAlone.map(({ id, startedAt }) => ({ session: id, startedAt: formatTime(startedAt) })),
  }
}
