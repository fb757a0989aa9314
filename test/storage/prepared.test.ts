import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { compiledOnce, nameOfStatement } from '../../src/storage/engine/compiled.ts'
import { openDatabase } from '../../src/storage/engine/database.ts'
import { isTrouble } from '../../src/storage/engine/errors.ts'
import { LARGE_ROWS, Prepared, preparing } from '../../src/storage/engine/prepared.ts'
import type { Db } from '../../src/storage/schema.ts'
import { freshUrl, open } from '../helper/engines.ts'
import { endCall, put } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { query } from '../helper/postgres.ts'
import { until } from '../helper/service.ts'

const double = compiledOnce(
  (_, at: { n: number }) => sql<{ two: number }>`select cast(${at.n} as integer) * 2 as two`,
)
const DOUBLE = 'select cast($1 as integer) * 2 as two'

async function prepared(db: Db): Promise<string[]> {
  const { rows } = await sql<{ statement: string }>`select statement from pg_prepared_statements`.execute(db)
  return rows.map(({ statement }) => statement)
}

/** Of a ledger of which PostgreSQL has counted so many rows that plans are kept. */
async function largeUrl(t: Test): Promise<string> {
  const url = await freshUrl(t, 'postgres')
  await (await openDatabase({ url, clock: new ManualClock() })).close()
  await query(url, `update pg_class set reltuples = ${LARGE_ROWS} where oid = 'endings'::regclass`)
  return url
}

/** One connection of a database whose statements have names by now, and a fresh one. */
async function connections(t: Test, work: (db: Db, fresh: Db) => Promise<void>): Promise<void> {
  const { writes } = await open(t, await largeUrl(t), new ManualClock())
  await writes.connection().execute(async (db) => {
    await until(async () => {
      await double(db, { n: 1 })
      return (await prepared(db)).length > 0
    })
    await writes.connection().execute((fresh) => work(db, fresh))
  })
}

t.test('statements of the hot path are planned once on a connection, others each time', async (t) => {
  await connections(t, async (db) => {
    t.same(await prepared(db), [DOUBLE])
    t.same((await double(db, { n: 21 })).rows, [{ two: 42 }])
  })
})

t.test('a connection that does not know the name: all execute without one from then on', async (t) => {
  await connections(t, async (db, fresh) => {
    await sql`deallocate all`.execute(db)
    t.same((await double(db, { n: 21 })).rows, [{ two: 42 }])
    for (const one of [db, fresh]) t.same((await double(one, { n: 4 })).rows, [{ two: 8 }])
    for (const one of [db, fresh]) t.same(await prepared(one), [])
  })
})

t.test('a connection on which somebody else has given that name: the same', async (t) => {
  await connections(t, async (_, fresh) => {
    const name = sql.raw(nameOfStatement(DOUBLE) as string)
    await sql`prepare ${name} as ${sql.raw(DOUBLE)}`.execute(fresh)
    t.same((await double(fresh, { n: 21 })).rows, [{ two: 42 }])
    await sql`deallocate all`.execute(fresh)
    t.same((await double(fresh, { n: 4 })).rows, [{ two: 8 }])
    t.same(await prepared(fresh), [])
  })
})

t.test('a table that another version has changed meanwhile costs nothing that was asked for', async (t) => {
  const clock = new ManualClock()
  const { ledger, db, writes } = await open(t, await largeUrl(t), clock)
  const carryOut = async () => {
    const { id } = await put(ledger, { dueAt: clock.now() })
    t.match(await ledger.firstDue(), { id })
    const claimed = await ledger.claim(1, 1000)
    t.same(
      claimed.map((ending) => ending.id),
      [id],
    )
    for (const one of claimed) await ledger.record(one, [endCall('ended')], { to: 'ended', outcome: 'ended' })
    t.match(await ledger.find(id), { state: 'ended' })
  }
  await until(async () => {
    await carryOut()
    return (await prepared(db)).length > 0 && (await prepared(writes)).length > 0
  })
  await sql`alter table endings add column of_the_next_version integer`.execute(db)
  await carryOut()
  await carryOut()
})

t.test('no plan is kept while the ledger is small; soon after it has grown they are', async (t) => {
  const { db, writes } = await open(t, await freshUrl(t, 'postgres'), new ManualClock())
  await writes.connection().execute(async (one) => {
    for (let i = 0; i < 600; i += 1) await double(one, { n: 1 })
    t.same(await prepared(one), [])
    await sql`insert into endings (id, state, target_kind, target_id, reason, requested_by, urgent, due_at, next_attempt_at,
        attempt, claim, retry_base, created_at, metadata, reopened)
      select i, 'pending', 'session', i, 'requested', 'booking', 0, i, i, 0, 0, 0, i, '{}', 0
      from generate_series(1, ${sql.lit(LARGE_ROWS)}) i`.execute(db)
    await until(async () => {
      for (let i = 0; i < 100; i += 1) await double(one, { n: 1 })
      return (await prepared(one)).length > 0
    })
  })
})

t.test('where the name is refused, what the statement itself comes to is told', async (t) => {
  const failing = (...codes: string[]) => {
    const answers = codes.map((code) =>
      Object.assign(new Error(code), { code, routine: 'RevalidateCachedQuery' }),
    )
    return class {
      query() {
        return Promise.reject(answers.shift())
      }
    }
  }
  for (const [codes, told] of [
    [['26000', '55P03'], '55P03'],
    [['0A000', '25P02'], '0A000'],
    [['55P03', 'unused'], '55P03'],
  ] as const) {
    const named = new Prepared(() => {})
    named.allow()
    named.isLarge = true
    const Client = preparing(failing(...codes) as never, named)
    const error = await new Client().query(DOUBLE, [1]).catch((error: Error) => error)
    t.match(error, { code: told })
    t.ok(isTrouble(error), 'which may be asked again')
  }
})
