import { targetOf } from '../ending.ts'
import { eventType } from '../notification.ts'
import type {
  AttemptRow,
  ChangeRow,
  EndingRow,
  HoldRow,
  NotificationRow,
  WarningRow,
} from '../storage/schema.ts'
import { formatTime } from '../time.ts'
import type { Attempt, ChangeView, Ending, InForce, NotificationLine, WarningView } from './ending-schemas.ts'

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
    lastError:
      row.last_error === null ? null : { at: formatTime(row.last_error_at as number), error: row.last_error },
    ...(row.warn_minutes === null ? {} : { warnMinutes: JSON.parse(row.warn_minutes) }),
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

export function changeView({ at, by, change, before, after }: ChangeRow): ChangeView {
  return { at: formatTime(at), by, change, from: JSON.parse(before), to: JSON.parse(after) }
}

export function warningView(row: WarningRow): WarningView {
  return {
    minutes: row.minutes,
    toldMinutes: row.told_minutes,
    dueAt: formatTime(row.due_at),
    markedAt: formatTime(row.marked_at),
    sentAt: timeOrNull(row.sent_at),
    result: row.result,
  }
}

export function notificationLine(row: NotificationRow): NotificationLine {
  return {
    id: row.id,
    type: eventType(row.type),
    state: row.state,
    attempt: row.attempt,
    createdAt: formatTime(row.created_at),
    finishedAt: timeOrNull(row.finished_at),
    lastStatus: row.last_status,
  }
}

/** The hold that an ending came with, beside its own fields. */
export function holdFields(
  hold: Pick<HoldRow, 'from_at' | 'until_at'> | undefined,
): Pick<Ending, 'holdFrom' | 'holdUntil'> {
  return hold ? { holdFrom: formatTime(hold.from_at), holdUntil: timeOrNull(hold.until_at) } : {}
}

export function inForceView(row: EndingRow | undefined): InForce | null {
  if (!row) return null
  const { id: ending, due_at, requested_by: requestedBy, reason } = row
  return { ending, dueAt: formatTime(due_at), requestedBy, reason }
}

/**
 * How long (ms) after it could first be called an ending was called. That is when it was due; where that was past when
 * it was asked for or moved, it is then. (Once it is tried again, the next attempt is no longer the first.)
 */
export function latenessOf(row: EndingRow, calledAt: number): number {
  const { due_at, created_at, next_attempt_at } = row
  return calledAt - Math.max(due_at, created_at, next_attempt_at <= calledAt ? next_attempt_at : due_at)
}

export function timeOrNull(at: number | null): string | null {
  return at === null ? null : formatTime(at)
}
