import { type RawBuilder, sql } from 'kysely'
import type { Db, Engine } from '../../src/storage/schema.ts'

/** How many rows of each kind a ledger is filled with. */
export interface Fill {
  finished: number
  pending: number
  /** holds in force, and as many rules */
  holds: number
}

export const BUSY_ROOM = 'busy-room'
export const idOf = (i: number) => `01900000-0000-7000-8000-${i.toString(16).padStart(12, '0')}`
const DAY_MS = 24 * 3_600_000
const ROWS_AT_ONCE = 50_000

/**
 * Fills a fresh ledger as years of use would: finished endings with their calls, events and repeated requests, one in a
 * hundred of them about one room; pending ones due within the year; holds, most of them run out; rules.
 */
export async function fill(db: Db, engine: Engine, { finished, pending, holds }: Fill, now: number) {
  const isPostgres = engine === 'postgres'
  const numbers = (from: number, to: number): RawBuilder<unknown> =>
    isPostgres
      ? sql`generate_series(cast(${sql.lit(from)} as bigint), ${sql.lit(to)}) as n(i)`
      : sql`(with recursive n(i) as (select ${sql.lit(from)} union all select i + 1 from n where i < ${sql.lit(to)}) select i from n) as n`
  // In pieces that no time-out cuts short.
  const each = async (count: number, statement: (n: RawBuilder<unknown>) => RawBuilder<unknown>) => {
    for (let from = 1; from <= count; from += ROWS_AT_ONCE)
      await statement(numbers(from, Math.min(from + ROWS_AT_ONCE - 1, count))).execute(db)
  }
  const id = (from = 0) =>
    isPostgres
      ? sql`'01900000-0000-7000-8000-' || lpad(to_hex(i + ${sql.lit(from)}), 12, '0')`
      : sql`printf('01900000-0000-7000-8000-%012x', i + ${sql.lit(from)})`
  const text = (prefix: string) => sql`${sql.lit(prefix)} || cast(i as text)`
  const [at, start] = [sql.lit(now), sql.lit(now - 80 * DAY_MS)]
  const step = sql.lit(Math.max(Math.floor((79 * DAY_MS) / Math.max(finished, 1)), 1))
  const common = sql`case when i % 100 = 0 then 'room' else 'session' end,
    case when i % 100 = 0 then ${sql.lit(BUSY_ROOM)} else ${text('session-')} end`
  const columns = sql`id, state, target_kind, target_id, reason, requested_by, key, subject, urgent, due_at,
    next_attempt_at, attempt, claim, retry_base, outcome, failure, created_at, finished_at, confirmed_at, metadata, reopened`
  const run = (statement: RawBuilder<unknown>) => statement.execute(db)
  if (finished > 0) {
    const time = sql`${start} + i * ${step}`
    await each(
      finished,
      (
        n,
      ) => sql`insert into endings (${columns}) select ${id()}, case when i % 50 = 0 then 'failed' else 'ended' end,
      ${common}, 'booking_over', case when i % 2 = 0 then 'booking' else 'billing' end, ${text('booking:')},
      ${text('account:')}, 0, ${time}, ${time}, 1, 1, 0, case when i % 50 = 0 then null else 'ended' end,
      case when i % 50 = 0 then 'rejected' end, ${time}, ${time}, case when i % 50 = 0 then null else ${time} end, '{}', 0
      from ${n}`,
    )
    await each(
      finished,
      (
        n,
      ) => sql`insert into attempts (id, ending_id, attempt, session, started_at, duration_ms, status, result, confirmed_at)
      select ${id()}, ${id()}, 1, ${text('session-')}, ${time}, 20, 200, 'ended', ${time} from ${n}`,
    )
    await each(
      finished,
      (n) => sql`insert into events (sender, source, id, type, status, endings, received_at)
      select case when i % 2 = 0 then 'booking' else 'billing' end, '/source', ${text('event-')}, 'booking.scheduled',
      'accepted', '[]', ${time} from ${n}`,
    )
    await each(
      finished,
      (n) => sql`insert into subjects (sender, subject, time, precedence, timed, memory, matters_until)
      select 'booking', ${text('booking:')}, ${time}, 0, 1, 'null', ${time} from ${n}`,
    )
    await each(
      finished,
      (
        n,
      ) => sql`insert into notifications (id, ending_id, caller, type, state, ending, created_at, attempt, retry_base,
      next_attempt_at, finished_at, last_status)
      select ${id()}, ${id()}, case when i % 2 = 0 then 'booking' else 'billing' end, 'ended',
      case when i % 100 = 0 then 'failed' else 'told' end, '{}', ${time}, 1, 0, ${time}, ${time}, 200 from ${n}`,
    )
    await each(
      finished,
      (
        n,
      ) => sql`insert into notification_tries (notification_id, attempt, started_at, duration_ms, status, answer)
      select ${id()}, 1, ${time}, 20, 200, '' from ${n}`,
    )
    const part = Math.ceil(finished / 10)
    for (const [name, ms] of [
      ['minute', 60_000],
      ['hour', 3_600_000],
    ] as const)
      await each(
        part,
        (n) => sql`insert into statistics (step, at, source, name, count)
        select ${sql.lit(name)}, ${start} - ${start} % ${sql.lit(ms)} + i / 4 * ${sql.lit(ms)}, 'filled', 'late:' || (i % 4), 1
        from ${n}`,
      )
    await each(
      part,
      (n) => sql`insert into idempotency_keys (caller, key, fingerprint, ending_id, created_at)
      select 'booking', ${text('key-')}, '', ${id()}, ${at} - i from ${n}`,
    )
    await each(
      part,
      (n) => sql`insert into sessions (id, room_id, friendly_url, external_id, started_at, seen_at, over_at)
      select ${text('session-')}, ${text('room-')}, ${text('friendly-')}, ${text('external-')}, ${time}, ${time}, ${time}
      from ${n}`,
    )
    await each(
      part,
      (n) => sql`insert into session_limits (session, requested_by, ending_id, room, due_at)
      select ${text('session-')}, 'booking', ${id()}, ${text('room-')}, ${time} from ${n}`,
    )
    await each(
      part,
      (n) => sql`insert into session_holds (session, requested_by, hold_id, ending_id)
      select ${text('session-')}, 'billing', ${id(30_000_000)}, ${id()} from ${n}`,
    )
    await each(
      part,
      (n) => sql`insert into changes (ending_id, seq, at, "by", change, "before", "after")
      select ${id()}, 1, ${time}, 'booking', 'moved', '{}', '{}' from ${n}`,
    )
    await each(
      part,
      (n) => sql`insert into warnings (ending_id, due_at, minutes, told_minutes, marked_at, sent_at, result)
      select ${id()}, ${time}, 5, 5, ${time}, ${time}, 'sent' from ${n}`,
    )
    await each(
      finished,
      (
        n,
      ) => sql`insert into holds (id, room_kind, room, by_id, from_at, until_at, requested_by, reason, subject, created_at)
      select ${id(finished)}, 'room', ${text('room-')}, 0, ${time}, ${time} + 1, 'booking', 'booking_cancelled',
      ${text('booking:')}, ${time} from ${n}`,
    )
  }
  if (pending > 0)
    await each(
      pending,
      (
        n,
      ) => sql`insert into endings (${columns}) select ${id(10_000_000)}, 'pending', ${common}, 'booking_over',
      case when i % 2 = 0 then 'booking' else 'billing' end, ${text('pending:')}, ${text('account-pending:')}, i % 2,
      ${at} + ${sql.lit(3_600_000)} + i * 30, ${at} + ${sql.lit(3_600_000)} + i * 30, 0, 0, 0, null, null, ${at},
      null, null, '{}', 0 from ${n}`,
    )
  if (holds > 0) {
    await each(
      holds,
      (
        n,
      ) => sql`insert into holds (id, room_kind, room, by_id, from_at, until_at, requested_by, reason, subject, created_at)
      select ${id(20_000_000)}, 'room', ${text('held-')}, 0, ${at} - 1000, ${at} + ${sql.lit(DAY_MS)}, 'billing',
      'billing_suspended', ${text('account:')}, ${at} from ${n}`,
    )
    await each(
      holds,
      (n) => sql`insert into time_limits (room, by_id, requested_by, max_minutes, created_at, updated_at)
      select ${text('ruled-')}, 0, 'booking', 60, ${at}, ${at} from ${n}`,
    )
  }
  await run(isPostgres ? sql`analyze` : sql`analyze`)
  // The service does not keep statistics on SQLite, so plans must not depend on them.
  if (!isPostgres) await run(sql`drop table sqlite_stat1`).catch(() => {})
}
