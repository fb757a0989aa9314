import { type Attempt, type Ending, targetOf } from '../ending.ts'
import type { AttemptRow, EndingRow } from '../storage/schema.ts'
import { formatTime } from '../time.ts'

/** An ending as callers see it. */
export function endingView(row: EndingRow): Ending {
  return {
    id: row.id,
    state: row.state,
    target: targetOf(row.target_kind, row.target_id),
    reason: row.reason,
    requestedBy: row.requested_by,
    key: row.key,
    subject: row.subject,
    urgent: row.urgent === 1,
    dueAt: formatTime(row.due_at),
    attempt: row.attempt,
    nextAttemptAt: row.state === 'pending' ? formatTime(row.next_attempt_at) : null,
    outcome: row.outcome,
    failure: row.failure,
    createdAt: formatTime(row.created_at),
    finishedAt: timeOrNull(row.finished_at),
    confirmedAt: timeOrNull(row.confirmed_at),
    metadata: JSON.parse(row.metadata),
  }
}

export function attemptView(row: AttemptRow): Attempt {
  return {
    attempt: row.attempt,
    session: row.session,
    startedAt: formatTime(row.started_at),
    durationMs: row.duration_ms,
    status: row.status,
    result: row.result,
    error: row.error,
  }
}

function timeOrNull(at: number | null): string | null {
  return at === null ? null : formatTime(at)
}
