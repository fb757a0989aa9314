import type { Config } from '../config/config.ts'
import { type LedgerNumbers, ledgerNumbers } from '../storage/inspection.ts'
import type { Db } from '../storage/schema.ts'
import { formatTime } from '../time.ts'
import { type Finding, findingsOf, seconds } from './finding.ts'

const { ok, warning, wrong } = findingsOf('endings')
// Below that, they are on their way.
const LATE_MS = 60_000

/** What the ledger says about the endings, the budget and what stands in the way; `now` is epoch ms by its clock. */
export async function checkEndings(db: Db, config: Config, now: number): Promise<Finding[]> {
  const numbers = await ledgerNumbers(db, now, config.callsPerMinute)
  const { callsLeft } = numbers
  const of = `${callsLeft} of ${config.callsPerMinute} calls a minute could leave now`
  const budget =
    callsLeft > 0
      ? ok(of, { callsLeft })
      : {
          ...warning(of, 'calls go on as their minute runs out: /status says what waits'),
          values: { callsLeft },
        }
  const told = config.receivers.length > 0 ? notifications(numbers) : []
  return [budget, ...stops(numbers, now), ...pauses(numbers), ...backlog(numbers, now), ...told]
}

function stops({ stops }: LedgerNumbers, now: number): Finding[] {
  return stops.flatMap(({ name, since, until, why }) => {
    const from = `since ${formatTime(since)}`
    if (name === 'refusal')
      return wrong(
        `Digital Samba refuses the credentials ${from} (${why}): no ending is carried out`,
        'set those that are right, and restart; nothing is lost meanwhile',
      )
    if (until <= now) return []
    return warning(
      `Digital Samba's rate limit was met ${from}; calls go again at ${formatTime(until)}`,
      'wait; if it comes often, another program uses the same team: lower CALLS_PER_MINUTE',
    )
  })
}

function pauses({ pauses }: LedgerNumbers): Finding[] {
  return pauses.map(({ caller, paused_by: by, reason, since }) =>
    warning(
      `${caller === '' ? 'all calls are' : `${caller} is`} paused since ${formatTime(since)} by ${by}: ${reason}`,
      caller === ''
        ? 'POST /v1/resume lets them go again'
        : `POST /v1/resume with "caller": "${caller}" lets it go on`,
    ),
  )
}

function backlog({ backlog }: LedgerNumbers, now: number): Finding[] {
  const { pending, overdue, oldestOverdue, failedLastDay } = backlog
  const values = {
    pending,
    overdue,
    oldestOverdue: oldestOverdue === undefined ? null : formatTime(oldestOverdue),
    failedLastDay,
  }
  const late = oldestOverdue === undefined ? 0 : now - oldestOverdue
  const oldest =
    oldestOverdue === undefined ? '' : `, the oldest for ${seconds(late)} (${values.oldestOverdue})`
  const says = `${pending} pending, ${overdue} overdue${oldest}`
  const todo = 'is a Curfew running? If so, GET /status says under "calls" what is in the way'
  const waiting = late > LATE_MS ? { ...wrong(says, todo), values } : ok(says, values)
  if (failedLastDay === 0) return [waiting, ok('none has failed within a day')]
  return [
    waiting,
    warning(
      `${failedLastDay} failed within a day`,
      'GET /v1/endings?state=failed says which and why; POST /v1/endings/ID/retry tries one again',
    ),
  ]
}

/** Whether those who are told of their endings hear it. */
function notifications({ notifications: { pending, failed, failing } }: LedgerNumbers): Finding[] {
  const says = `${pending} notifications wait, ${failed} were given up`
  const again =
    'GET /v1/notifications?state=failed says which; POST /v1/notifications/retry has them told again'
  return [
    failed > 0
      ? { ...warning(says, again), values: { pendingNotifications: pending, failedNotifications: failed } }
      : ok(says, { pendingNotifications: pending, failedNotifications: failed }),
    ...failing.map(({ caller, failing_since, last_error }) =>
      warning(
        `nothing has reached ${caller} since ${formatTime(failing_since as number)}: ${last_error}`,
        'see docs/operating.md, CurfewNotificationsFailing',
      ),
    ),
  ]
}
