import { setImmediate as nextTurn } from 'node:timers/promises'
import { sql } from 'kysely'
import { compiledOnce, engineOf } from '../engine/compiled.ts'
import type { Db, Trx } from '../schema.ts'
import { Tally, type Totals } from './tally.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

/** How long a point is (ms), and which rows it is made of: a day is made of hours, as UTC has them. */
export const STEPS = {
  minute: { ms: MINUTE_MS, row: 'minute', rowMs: MINUTE_MS },
  hour: { ms: HOUR_MS, row: 'hour', rowMs: HOUR_MS },
  day: { ms: 24 * HOUR_MS, row: 'hour', rowMs: HOUR_MS },
} as const
export type Step = keyof typeof STEPS

/** What happened in one minute, hour or day, by all processes together. */
export interface Point extends Totals {
  /** when it began (epoch ms) */
  at: number
}

// So many minutes or hours are read at once: a few ms of SQLite's only connection, and of the event loop.
const ROWS_AT_ONCE = 120

/** The points that begin from `from` on and before `to` (epoch ms, whole steps), but for those without anything. */
export async function pointsBetween(db: Db, step: Step, from: number, to: number): Promise<Point[]> {
  const { ms, row, rowMs } = STEPS[step]
  const piece = ROWS_AT_ONCE * rowMs
  const points: Point[] = []
  for (let at = from; at < to; at += piece) {
    if (at > from) await nextTurn()
    const found = await countsBetween(db, { row, from: at, to: Math.min(at + piece, to) })
    const tallies = new Map<number, Tally>()
    for (const { at, counts } of found.rows) {
      const point = at - (at % ms)
      const tally = tallies.get(point) ?? new Tally()
      tallies.set(point, tally)
      tally.add(typeof counts === 'string' ? JSON.parse(counts) : counts)
    }
    for (const [at, tally] of tallies) points.push({ at, ...tally.totals() })
  }
  return points
}

interface Span extends Record<string, unknown> {
  row: 'minute' | 'hour'
  from: number
  to: number
}

interface Found {
  at: number
  /** JSON text on SQLite, and already an object on PostgreSQL */
  counts: string | Record<string, number>
}

/** What each process counted in each minute or hour, one row each, in the order of the primary key. */
const countsBetween = compiledOnce((db: Db | Trx, span: Span) => {
  const object = sql.raw(engineOf(db) === 'sqlite' ? 'json_group_object' : 'json_object_agg')
  return sql<Found>`select at, ${object}(name, count) as counts from statistics
    where step = ${span.row} and at >= ${span.from} and at < ${span.to} group by at, source order by at, source`
})
