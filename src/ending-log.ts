import type { Logger } from 'pino'
import type { EndingRow } from './storage/schema.ts'
import { formatTime } from './time.ts'

/** `session` was seen not to be live: which endings that confirms, and which are over by it without a call. */
export function logSeenOver(
  log: Logger,
  session: string,
  changed: EndingRow[],
  seenBy: 'webhook' | 'look-up',
): void {
  for (const ending of changed) {
    const about = { ...fields(ending), session, outcome: ending.outcome, seenBy }
    if (ending.outcome === 'ended') log.debug(about, 'ending.confirmed')
    else log.info(about, 'ending.ended')
  }
}

/** What every line about an ending says. */
export function fields(ending: EndingRow) {
  const { id, requested_by, reason, target_kind, target_id, due_at } = ending
  const target = `${target_kind}:${target_id}`
  return {
    ending: id,
    target,
    requestedBy: requested_by,
    reason,
    dueAt: formatTime(due_at),
    ...traceOf(ending),
  }
}

/** The trace that an ending belongs to; those of before there were any have none. */
export function traceOf({ traceparent }: Pick<EndingRow, 'traceparent'>): { traceparent?: string } {
  return traceparent === null ? {} : { traceparent }
}
