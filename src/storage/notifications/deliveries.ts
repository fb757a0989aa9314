import { sql } from 'kysely'
import type { NotificationState } from '../../notification.ts'
import { compiledOnce, engineOf } from '../engine/compiled.ts'
import type { Batched } from '../engine/group-commit.ts'
import type { Db, NotificationRow, NotificationTryRow, Trx } from '../schema.ts'

/*
 * Who tells a caller, what is due to be told, and what came of each try. One process at a time tells one caller, as long
 * as its lease holds; what is told needs no claim of its own then. All times are epoch ms.
 */

const PENDING = sql.lit('pending' as const)

/** A process that would tell a caller, until then unless it asks again. */
export interface Holding extends Record<string, unknown> {
  caller: string
  holder: string
  until: number
}

const takeLease = compiledOnce((db, at: Holding & { now: number }) =>
  db
    .updateTable('receivers')
    .set({ holder: sql<string>`${at.holder}`, held_until: sql<number>`cast(${at.until} as bigint)` })
    .where('caller', '=', at.caller)
    .where((eb) =>
      eb.or([eb('holder', '=', at.holder), eb('held_until', 'is', null), eb('held_until', '<=', at.now)]),
    )
    .returning('caller'),
)

const leaseOf = compiledOnce((db, at: { caller: string }) =>
  db.selectFrom('receivers').select('held_until').where('caller', '=', at.caller),
)

/** Takes or renews the lease of a caller. Undefined where it is this process's now; else until when another has it. */
export async function hold(trx: Trx, holding: Holding, now: number): Promise<number | undefined> {
  if ((await takeLease(trx, { ...holding, now })).rows.length > 0) return undefined
  return (await leaseOf(trx, holding)).rows[0]?.held_until ?? now
}

const release = compiledOnce((db, at: { caller: string; holder: string }) =>
  db
    .updateTable('receivers')
    .set({ holder: null, held_until: null })
    .where('caller', '=', at.caller)
    .where('holder', '=', at.holder),
)

/** Somebody else may tell this caller. */
export async function letGo(trx: Trx, who: { caller: string; holder: string }): Promise<void> {
  await release(trx, who)
}

const inOrder = (db: Db | Trx, caller: string) =>
  db
    .selectFrom('notifications')
    .where('caller', '=', caller)
    .where('state', '=', PENDING)
    .orderBy('next_attempt_at')

const firstDue = compiledOnce((db, at: { caller: string }) =>
  inOrder(db, at.caller).select('next_attempt_at').limit(1),
)

/** When the next is to be tried for a caller. */
export async function nextDue(db: Db, caller: string): Promise<number | undefined> {
  return (await firstDue(db, { caller })).rows[0]?.next_attempt_at
}

const someDue = compiledOnce((db, at: { caller: string; now: number; limit: number }) =>
  inOrder(db, at.caller).selectAll().where('next_attempt_at', '<=', at.now).limit(at.limit),
)

/** Up to `limit` that are due for a caller, those that have been so for longest first. */
export async function allDue(db: Db, caller: string, limit: number, now: number): Promise<NotificationRow[]> {
  return (await someDue(db, { caller, now, limit })).rows
}

/** What one try came to. */
export interface Tried {
  notification: NotificationRow
  tried: Omit<NotificationTryRow, 'notification_id' | 'attempt'>
  to: { state: Exclude<NotificationState, 'pending'> } | { state: 'pending'; nextAttemptAt: number }
  now: number
}

/** Writes down what tries came to. What another process has tried meanwhile stays as that has left it. */
export const SETTLED: Batched<Tried, void> = {
  run: async (trx, all) => {
    const rows = all.map(settledRow)
    if (engineOf(trx) === 'postgres') await settleTogether(trx, { rows: JSON.stringify(rows) })
    else
      for (const row of rows) {
        await insertTry(trx, row)
        await settleOne(trx, row)
      }
    return all.map(() => undefined)
  },
  isOneStatement: (_, engine) => engine === 'postgres',
  isVolatile: true,
}

interface SettledRow extends Record<string, unknown> {
  id: string
  attempt: number
  before: number
  startedAt: number
  durationMs: number
  status: number | null
  error: string | null
  answer: string
  state: NotificationState
  nextAttemptAt: number
  finishedAt: number | null
}

function settledRow({ notification, tried, to, now }: Tried): SettledRow {
  return {
    id: notification.id,
    attempt: notification.attempt + 1,
    before: notification.attempt,
    startedAt: tried.started_at,
    durationMs: tried.duration_ms,
    status: tried.status,
    error: tried.error,
    answer: tried.answer,
    state: to.state,
    nextAttemptAt: to.state === 'pending' ? to.nextAttemptAt : notification.next_attempt_at,
    finishedAt: to.state === 'pending' ? null : now,
  }
}

const insertTry = compiledOnce((db, row: SettledRow) =>
  db
    .insertInto('notification_tries')
    .values({
      notification_id: row.id,
      attempt: row.attempt,
      started_at: row.startedAt,
      duration_ms: row.durationMs,
      status: row.status,
      error: row.error,
      answer: row.answer,
    })
    .onConflict((conflict) => conflict.doNothing()),
)

const settleOne = compiledOnce((db, row: SettledRow) =>
  db
    .updateTable('notifications')
    .set({
      state: row.state,
      attempt: row.attempt,
      next_attempt_at: row.nextAttemptAt,
      finished_at: row.finishedAt,
      last_status: row.status,
      last_error: row.error,
    })
    .where('id', '=', row.id)
    .where('state', '=', PENDING)
    .where('attempt', '=', row.before),
)

const settleTogether = compiledOnce(
  (_: Db | Trx, at: { rows: string }) => sql`with given as (
      select * from jsonb_to_recordset(cast(${at.rows} as jsonb)) as given (id text, attempt integer, before integer,
        "startedAt" bigint, "durationMs" integer, status integer, error text, answer text, state text,
        "nextAttemptAt" bigint, "finishedAt" bigint)),
    tries as (
      insert into notification_tries (notification_id, attempt, started_at, duration_ms, status, error, answer)
      select id, attempt, "startedAt", "durationMs", status, error, answer from given
      where exists (select 1 from notifications where notifications.id = given.id)
      on conflict do nothing)
    update notifications set state = given.state, attempt = given.attempt, next_attempt_at = given."nextAttemptAt",
      finished_at = given."finishedAt", last_status = given.status, last_error = given.error
    from given where notifications.id = given.id and notifications.state = ${PENDING}
      and notifications.attempt = given.before`,
)

const REPORTED_AFTER_MS = 24 * 3_600_000

/** A try for this caller has failed. Since when every one has, where that has just become a day. */
export async function noteFailure(
  trx: Trx,
  caller: string,
  error: string | null,
  now: number,
): Promise<number | undefined> {
  await trx
    .updateTable('receivers')
    .set({
      failing_since: sql<number>`coalesce(failing_since, cast(${now} as bigint))`,
      last_error: error,
    })
    .where('caller', '=', caller)
    .execute()
  const reported = await trx
    .updateTable('receivers')
    .set({ reported_at: now })
    .where('caller', '=', caller)
    .where('failing_since', '<=', now - REPORTED_AFTER_MS)
    .where('reported_at', 'is', null)
    .returning('failing_since')
    .executeTakeFirst()
  return reported?.failing_since ?? undefined
}

/** This caller was told something. Since when nothing had reached it, where that was so. */
export async function noteSuccess(trx: Trx, caller: string): Promise<number | undefined> {
  const before = await trx
    .selectFrom('receivers')
    .select('failing_since')
    .where('caller', '=', caller)
    .where('failing_since', 'is not', null)
    .executeTakeFirst()
  if (!before) return undefined
  await trx
    .updateTable('receivers')
    .set({ failing_since: null, last_error: null, reported_at: null })
    .where('caller', '=', caller)
    .execute()
  return before.failing_since ?? undefined
}

/** Each caller that is told has a row. On SQLite nobody else can hold it: what holds it died. */
export async function prepareReceivers(trx: Trx, callers: string[]): Promise<void> {
  if (callers.length === 0) return
  const nobody = { holder: null, held_until: null, failing_since: null, last_error: null, reported_at: null }
  await trx
    .insertInto('receivers')
    .values(callers.map((caller) => ({ caller, ...nobody })))
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  if (engineOf(trx) === 'sqlite')
    await trx.updateTable('receivers').set({ holder: null, held_until: null }).execute()
}
