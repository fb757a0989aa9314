import { randomUUID } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import { latenessMs } from '../../lateness.ts'
import { compiledOnce, engineOf } from '../engine/compiled.ts'
import type { AttemptRow, Db, EndingRow, Trx } from '../schema.ts'
import { addFinished, type Counts, MOST } from './names.ts'

/*
 * What has happened is counted in the transaction that makes it happen: a row for each minute and hour, and each name.
 * Every process counts in rows of its own, since two that count the same would wait for each other at every commit.
 */
const SOURCES = new WeakMap<object, string>()

/**
 * From now on what is written through `db` is counted. On PostgreSQL rehearsals have other connections, where nothing is
 * counted: several of them at once would wait for each other's rows.
 */
export function countIn(db: Db): void {
  const { adapter } = db.getExecutor()
  if (!SOURCES.has(adapter)) SOURCES.set(adapter, randomUUID().slice(0, 8))
}

export function sourceOf(db: Db | Trx): string | undefined {
  return SOURCES.get(db.getExecutor().adapter)
}

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

/** The rows that `now` (epoch ms) belongs to. */
export function stepsOf(now: number): { minute: number; hour: number } {
  return { minute: now - (now % MINUTE_MS), hour: now - (now % HOUR_MS) }
}

interface Counted extends Record<string, unknown> {
  source: string
  minute: number
  hour: number
  counts: string
}

/** Counts what happened at `now` (epoch ms), in one statement. */
export async function count(trx: Trx, counts: Counts, now: number): Promise<void> {
  const source = sourceOf(trx)
  if (source === undefined || counts.size === 0) return
  const values = { source, ...stepsOf(now), counts: JSON.stringify(Object.fromEntries(counts)) }
  await (engineOf(trx) === 'sqlite' ? countOnSqlite(trx, values) : countOnPostgres(trx, values))
}

/** What these endings, which are over now, came to. */
export async function countFinished(trx: Trx, endings: EndingRow[], now: number): Promise<void> {
  const counts: Counts = new Map()
  for (const { outcome, failure, state } of endings) addFinished(counts, outcome ?? failure ?? state)
  await count(trx, counts, now)
}

/**
 * How late the first end call was (ms), of an attempt whose ending had never been tried; undefined for any other. It is
 * to be counted with the change that makes its ending a tried one, and so once.
 */
export function firstLateness(claimed: EndingRow, calls: Array<Pick<AttemptRow, 'started_at'>>) {
  const isUntried = claimed.attempt === 0 && claimed.last_error_at === null
  if (!isUntried || calls.length === 0) return undefined
  const first = Math.min(...calls.map(({ started_at }) => started_at))
  return Math.max(latenessMs(claimed, first), 0)
}

const countOnSqlite = compiledOnce((_: Db | Trx, at: Counted) =>
  intoStatistics(at, sql`select key as name, value as count from json_each(${at.counts})`, 'sqlite'),
)

const countOnPostgres = compiledOnce((_: Db | Trx, at: Counted) =>
  intoStatistics(
    at,
    sql`select key as name, cast(value as bigint) as count from jsonb_each_text(cast(${at.counts} as jsonb))`,
    'postgres',
  ),
)

/** An upsert of what `counts` selects (name, count) into the minute and the hour. */
export function intoStatistics(
  { source, minute, hour }: Omit<Counted, 'counts'>,
  counts: RawBuilder<unknown>,
  engine: 'sqlite' | 'postgres',
) {
  const greater = sql.raw(engine === 'sqlite' ? 'max' : 'greatest')
  // `where true`: SQLite would otherwise read `on conflict` as the condition of a join.
  return sql`insert into statistics (step, at, source, name, count)
    select steps.step, steps.at, cast(${source} as text), counts.name, counts.count from (${counts}) as counts, (
      select 'minute' as step, cast(${minute} as bigint) as at
      union all select 'hour', cast(${hour} as bigint)) as steps where true
    on conflict (step, at, source, name) do update set count =
      case when excluded.name = ${sql.lit(MOST)} then ${greater}(statistics.count, excluded.count)
        else statistics.count + excluded.count end`
}
