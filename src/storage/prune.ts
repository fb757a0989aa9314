import { sql } from 'kysely'
import { REMEMBERED_MS } from './idempotency.ts'
import type { Engine, Trx } from './schema.ts'

// Small, so that no commit keeps a claim or a caller waiting.
const BATCH = 500

/**
 * Removes one small batch of endings finished before `before` (epoch ms), with their attempts and warnings, of what else
 * has not mattered since, and of idempotency keys that have run out. Returns whether there may be more.
 */
export async function pruneBatch(trx: Trx, engine: Engine, before: number, now: number): Promise<boolean> {
  const endings = await trx
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
        .limit(BATCH),
    )
    .executeTakeFirst()
  const keys = await trx
    .deleteFrom('idempotency_keys')
    .where(({ refTuple, selectFrom, eb }) =>
      eb(
        refTuple('caller', 'key'),
        'in',
        selectFrom('idempotency_keys')
          .select(['caller', 'key'])
          .where('created_at', '<=', now - REMEMBERED_MS)
          .limit(BATCH)
          .$asTuple('caller', 'key'),
      ),
    )
    .executeTakeFirst()
  const others = [
    await pruneOld(trx, engine, 'events', 'received_at', before),
    await pruneOld(trx, engine, 'subjects', 'matters_until', before),
    await pruneOld(trx, engine, 'sessions', 'seen_at', before),
    await pruneOld(trx, engine, 'holds', 'coalesce(lifted_at, until_at)', before),
    await pruneOld(trx, engine, 'warned_rooms', 'warned_at', before),
  ]
  return [endings.numDeletedRows, keys.numDeletedRows, ...others].some((removed) => removed >= BATCH)
}

// By what each engine calls the row itself: these tables have keys of two or three columns.
async function pruneOld(
  trx: Trx,
  engine: Engine,
  table: 'events' | 'subjects' | 'sessions' | 'holds' | 'warned_rooms',
  time: string,
  before: number,
): Promise<bigint> {
  const row = sql.raw(engine === 'postgres' ? 'ctid' : 'rowid')
  const { numAffectedRows } = await sql`delete from ${sql.table(table)} where ${row} in
      (select ${row} from ${sql.table(table)} where ${sql.raw(time)} < ${before} limit ${BATCH})`.execute(trx)
  return numAffectedRows ?? 0n
}
