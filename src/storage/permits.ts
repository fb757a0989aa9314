import { sql } from 'kysely'
import type { Clock } from '../clock.ts'
import { compiledOnce, engineOf } from './engine/compiled.ts'
import { translated } from './engine/errors.ts'
import type { Db, PermitKind, Trx } from './schema.ts'

/*
 * The call budget: a row for each call that may be made in the window, and when that may be made again. A call takes a
 * row that is free and sets its time, so that there are never more than rows, whichever process makes them, and whoever
 * dies in between. Times are epoch ms.
 */

/** Which rows are taken: those below `below`, which are fewer than there are where the budget was larger before. */
interface PermitRange extends Record<string, unknown> {
  kind: PermitKind
  below: number
}

const takeFree = compiledOnce((db, at: PermitRange & { most: number; now: number; until: number }) => {
  const free = db
    .selectFrom('permits')
    .select('slot')
    .where('kind', '=', at.kind)
    .where('free_at', '<=', at.now)
    .where('slot', '<', at.below)
    .orderBy('free_at')
    .limit(at.most)
  return db
    .with('free', () => (engineOf(db) === 'postgres' ? free.forUpdate().skipLocked() : free))
    .updateTable('permits')
    .set({ free_at: sql<number>`cast(${at.until} as bigint)` })
    .where('kind', '=', at.kind)
    .where('slot', 'in', (eb) => eb.selectFrom('free').select('free.slot'))
    .returning('slot')
})

/** Takes up to `most` that are free, until `until`. */
async function takePermits(
  db: Db | Trx,
  range: PermitRange,
  most: number,
  now: number,
  until: number,
): Promise<number[]> {
  const { rows } = await takeFree(db, { ...range, most, now, until })
  return rows.map(({ slot }) => slot)
}

/** When the next is free; undefined where there is none at all. */
async function nextFreePermit(db: Db | Trx, { kind, below }: PermitRange): Promise<number | undefined> {
  const row = await db
    .selectFrom('permits')
    .select('free_at')
    .where('kind', '=', kind)
    .where('slot', '<', below)
    .orderBy('free_at')
    .limit(1)
    .executeTakeFirst()
  return row?.free_at
}

/** How many are taken, counted no further than `most`. */
async function takenPermits(
  db: Db | Trx,
  { kind, below }: PermitRange,
  now: number,
  most: number,
): Promise<number> {
  const taken = db
    .selectFrom('permits')
    .select(sql<number>`1`.as('one'))
    .where('kind', '=', kind)
    .where('free_at', '>', now)
    .where('slot', '<', below)
    .limit(most)
  const { count } = await db
    .selectFrom(taken.as('taken'))
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return Number(count)
}

/** Of calls that were made earlier than they might have been: when each is free again. */
async function settlePermits(
  db: Db | Trx,
  spent: Array<{ kind: PermitKind; slot: number; until: number; freeAt: number }>,
): Promise<void> {
  const list = JSON.stringify(spent)
  if (engineOf(db) === 'postgres')
    await sql`update permits set free_at = spent."freeAt"
      from jsonb_to_recordset(cast(${list} as jsonb)) as spent (kind text, slot integer, until bigint, "freeAt" bigint)
      where permits.kind = spent.kind and permits.slot = spent.slot and permits.free_at = spent.until`.execute(
      db,
    )
  else
    await sql`update permits set free_at = spent.value ->> 'freeAt' from json_each(${list}) as spent
      where permits.kind = spent.value ->> 'kind' and permits.slot = spent.value ->> 'slot'
        and permits.free_at = spent.value ->> 'until'`.execute(db)
}

/** For calls that were not made: those that were taken until `until` are free again. */
async function giveBackPermits(
  db: Db | Trx,
  kind: PermitKind,
  slots: number[],
  until: number,
): Promise<void> {
  if (slots.length === 0) return
  await db
    .updateTable('permits')
    .set({ free_at: 0 })
    .where('kind', '=', kind)
    .where('slot', 'in', slots)
    .where('free_at', '=', until)
    .execute()
}

/**
 * Makes the rows that are missing. What is taken beyond the number that there may be now counts for as many below it: a
 * budget that was lowered has been spent all the same.
 */
export async function preparePermits(trx: Trx, { kind, below }: PermitRange, now: number): Promise<void> {
  const { count } = await trx
    .selectFrom('permits')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('kind', '=', kind)
    .executeTakeFirstOrThrow()
  if (Number(count) < below)
    await sql`insert into permits (kind, slot, free_at)
      with recursive slots (slot) as (select ${sql.lit(0)} union all select slot + 1 from slots where slot + 1 < ${sql.lit(below)})
      select ${sql.lit(kind)}, slot, 0 from slots where true
      on conflict (kind, slot) do nothing`.execute(trx)
  const beyond = await trx
    .selectFrom('permits')
    .select('free_at')
    .where('kind', '=', kind)
    .where('slot', '>=', below)
    .where('free_at', '>', now)
    .execute()
  for (const { free_at } of beyond) await takePermits(trx, { kind, below }, 1, now, free_at)
}

/** A clock that was set back must not keep anybody waiting: what is taken beyond `latest` is taken until then. */
async function mendPermits(db: Db | Trx, latest: number): Promise<void> {
  await db.updateTable('permits').set({ free_at: latest }).where('free_at', '>', latest).execute()
}

/** The permits of a ledger, for whoever counts calls by them. */
export class Permits {
  readonly #db: Db
  readonly #clock: Clock
  readonly #counts: Record<PermitKind, number>

  constructor(db: Db, clock: Clock, counts: Record<PermitKind, number>) {
    this.#db = db
    this.#clock = clock
    this.#counts = counts
  }

  /** Takes up to `most` free ones until `until`; `opensAt` is when the next is free, where there were fewer. */
  async take(kind: PermitKind, most: number, until: number): Promise<{ slots: number[]; opensAt: number }> {
    const range = this.#range(kind)
    const slots = await translated(takePermits(this.#db, range, most, this.#clock.now(), until))
    if (slots.length === most) return { slots, opensAt: 0 }
    return { slots, opensAt: (await translated(nextFreePermit(this.#db, range))) ?? Number.POSITIVE_INFINITY }
  }

  taken(kind: PermitKind, most: number): Promise<number> {
    return translated(takenPermits(this.#db, this.#range(kind), this.#clock.now(), most))
  }

  giveBack(kind: PermitKind, slots: number[], until: number): Promise<void> {
    return translated(giveBackPermits(this.#db, kind, slots, until))
  }

  settle(spent: Parameters<typeof settlePermits>[1]): Promise<void> {
    return translated(settlePermits(this.#db, spent))
  }

  mend(latest: number): Promise<void> {
    return translated(mendPermits(this.#db, latest))
  }

  #range(kind: PermitKind): PermitRange {
    return { kind, below: this.#counts[kind] }
  }
}
