import { sql } from 'kysely'
import { REMEMBERED_MS } from './endings/idempotency.ts'
import type { Engine, Trx } from './schema.ts'

/** One table's part of pruning, in a transaction of its own: how many rows have gone. */
type Step = (trx: Trx, engine: Engine, before: number, now: number) => Promise<bigint>

// So few that no commit keeps a claim or a caller waiting. An ending has calls, changes and warnings that go with it.
const PRUNED_AT_ONCE = 50
const ENDINGS_AT_ONCE = 15

/** What goes with `before` (epoch ms): finished endings with all that is theirs, and whatever has not mattered since. */
export const PRUNING: ReadonlyArray<{ step: Step; atOnce: number }> = [
  { step: pruneEndings, atOnce: ENDINGS_AT_ONCE },
  ...[
    pruneKeys,
    pruneOld('events', 'received_at'),
    pruneOld('subjects', 'matters_until'),
    pruneOld('sessions', 'seen_at'),
    pruneOld('holds', 'coalesce(lifted_at, until_at)'),
    pruneOld('warned_rooms', 'warned_at'),
    pruneMinutes,
    pruneHours,
  ].map((step) => ({ step, atOnce: PRUNED_AT_ONCE })),
]

/** Finished before that; their attempts, changes and warnings go with them. */
async function pruneEndings(trx: Trx, _engine: Engine, before: number, now: number): Promise<bigint> {
  const { numDeletedRows } = await trx
    .deleteFrom('endings')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('endings')
        .select('id')
        .where('finished_at', 'is not', null)
        .where('finished_at', '<', before)
        // An account may stay suspended for longer than that; who asked for it is not forgotten meanwhile.
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('holds')
                .select('holds.id')
                .whereRef('holds.ending_id', '=', 'endings.id')
                .where('holds.lifted_at', 'is', null)
                .where((hold) => hold.or([hold('until_at', 'is', null), hold('until_at', '>', now)])),
            ),
          ),
        )
        .limit(ENDINGS_AT_ONCE),
    )
    .executeTakeFirst()
  return numDeletedRows
}

/** Those that have run out. */
async function pruneKeys(trx: Trx, _engine: Engine, _before: number, now: number): Promise<bigint> {
  const { numDeletedRows } = await trx
    .deleteFrom('idempotency_keys')
    .where(({ refTuple, selectFrom, eb }) =>
      eb(
        refTuple('caller', 'key'),
        'in',
        selectFrom('idempotency_keys')
          .select(['caller', 'key'])
          .where('created_at', '<=', now - REMEMBERED_MS)
          .limit(PRUNED_AT_ONCE)
          .$asTuple('caller', 'key'),
      ),
    )
    .executeTakeFirst()
  return numDeletedRows
}

// By what each engine calls the row itself: these tables have keys of two or three columns.
function pruneOld(table: 'events' | 'subjects' | 'sessions' | 'holds' | 'warned_rooms', time: string): Step {
  return async (trx, engine, before) => {
    const row = sql.raw(engine === 'postgres' ? 'ctid' : 'rowid')
    const { numAffectedRows } = await sql`delete from ${sql.table(table)} where ${row} in
      (select ${row} from ${sql.table(table)} where ${sql.raw(time)} < ${before} limit ${PRUNED_AT_ONCE})`.execute(
      trx,
    )
    return numAffectedRows ?? 0n
  }
}

// A day of minutes is what people look at, a week of them what they compare it with; of all before that, the hours tell.
const MINUTES_KEPT_MS = 8 * 24 * 3_600_000

function pruneMinutes(trx: Trx, _engine: Engine, before: number, now: number): Promise<bigint> {
  return pruneStatistics(trx, 'minute', Math.max(before, now - MINUTES_KEPT_MS))
}

function pruneHours(trx: Trx, _engine: Engine, before: number): Promise<bigint> {
  return pruneStatistics(trx, 'hour', before)
}

/** The oldest of them. */
async function pruneStatistics(trx: Trx, step: 'minute' | 'hour', before: number): Promise<bigint> {
  const { numDeletedRows } = await trx
    .deleteFrom('statistics')
    .where(({ refTuple, selectFrom, eb }) =>
      eb(
        refTuple('step', 'at', 'source', 'name'),
        'in',
        selectFrom('statistics')
          .select(['step', 'at', 'source', 'name'])
          .where('step', '=', step)
          .where('at', '<', before)
          .limit(PRUNED_AT_ONCE)
          .$asTuple('step', 'at', 'source', 'name'),
      ),
    )
    .executeTakeFirst()
  return numDeletedRows
}
