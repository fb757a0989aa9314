import type { FastifyInstance } from 'fastify'
import { eventType } from '../notification.ts'
import type { EndingRow, NotificationRow, NotificationTryRow } from '../storage/schema.ts'
import { formatTime } from '../time.ts'
import { changesOmitted } from './ending-details.ts'
import { changeView, endingView, holdFields, timeOrNull, warningView } from './ending-view.ts'
import type { NotificationEvent, NotificationTry, NotificationView } from './notification-schemas.ts'

export function notificationView(row: NotificationRow): NotificationView {
  return {
    id: row.id,
    ending: row.ending_id,
    caller: row.caller,
    type: eventType(row.type),
    state: row.state,
    attempt: row.attempt,
    createdAt: formatTime(row.created_at),
    nextAttemptAt: row.state === 'pending' ? formatTime(row.next_attempt_at) : null,
    finishedAt: timeOrNull(row.finished_at),
    lastStatus: row.last_status,
    lastError: row.last_error,
  }
}

export function tryView(row: NotificationTryRow): NotificationTry {
  return {
    attempt: row.attempt,
    startedAt: formatTime(row.started_at),
    durationMs: row.duration_ms,
    status: row.status,
    error: row.error,
    answer: row.answer,
  }
}

/**
 * What a receiver is told: the ending as the transition left it, with what had been changed and warned of by then, as
 * GET /v1/endings/{id} showed it at that moment, without its attempts.
 */
export async function notificationBody(
  { ledger, limits }: Pick<FastifyInstance, 'ledger' | 'limits'>,
  { id, ending_id: subject, type, created_at: at, ending }: NotificationRow,
): Promise<string> {
  const [changes, warnings, hold] = await Promise.all([
    ledger.changes(subject),
    limits.warningsOf(subject),
    limits.holdOfEnding(subject),
  ])
  const known = changes.filter((change) => change.at <= at)
  const given = warnings.filter(({ marked_at }) => marked_at <= at)
  const event: NotificationEvent = {
    specversion: '1.0',
    id,
    source: '/curfew',
    type: eventType(type),
    subject,
    time: formatTime(at),
    datacontenttype: 'application/json',
    data: {
      ...endingView(JSON.parse(ending) as EndingRow),
      ...holdFields(hold),
      ...(given.length > 0 ? { warnings: given.map(warningView) } : {}),
      changes: known.map(changeView),
      ...changesOmitted(known),
    },
  }
  return JSON.stringify(event)
}
