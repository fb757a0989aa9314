import { sql } from 'kysely'
import { engineOf } from '../engine/compiled.ts'
import type { Db, EndingRow, Trx } from '../schema.ts'
import { isUnclaimed, PENDING } from './conditions.ts'

type Due = Pick<EndingRow, 'id' | 'requested_by' | 'due_at'>

/** Whose endings, and which of them. */
interface Wanted {
  /** epoch ms */
  now: number
  urgent: 0 | 1
  paused: string[]
}

/**
 * The callers that have pending endings, by their names, without those who are paused. Each is found by one look into an index, so that it
 * costs as much as there are callers, however many endings each has.
 */
async function callersWaiting(db: Db | Trx, paused: string[]): Promise<string[]> {
  const next = (after: string) => sql`(select min(requested_by) from endings
    where state = ${PENDING} and requested_by > ${sql.raw(after)})`
  const { rows } = await sql<{ name: string }>`with recursive callers (name) as (
      select ${next("''")}
      union all
      select ${next('callers.name')} from callers where callers.name is not null)
    select name from callers where name is not null`.execute(db)
  return rows.map(({ name }) => name).filter((name) => !paused.includes(name))
}

/** What one caller has due, in the order of the due times. */
function dueOf(db: Db | Trx, caller: string, { now, urgent }: Wanted) {
  return db
    .selectFrom('endings')
    .where('state', '=', PENDING)
    .where('requested_by', '=', caller)
    .where('urgent', '=', sql.lit(urgent))
    .where('due_at', '<=', now)
    .where('next_attempt_at', '<=', now)
    .where(isUnclaimed(now))
    .orderBy('due_at')
    .orderBy('id')
}

/** Who has had his turn, and when: the one who has waited longest is next. */
export class Turns {
  readonly #lastTurn = new Map<string, number>()
  #count = 0

  /** Deals up to `limit` of what is due to the callers in turn, each by its due times. */
  deal(due: Due[], limit: number): Due[] {
    const waiting = Map.groupBy(due, ({ requested_by }) => requested_by)
    const dealt: Due[] = []
    while (dealt.length < limit && waiting.size > 0) {
      const [caller, own] = [...waiting].sort(
        ([a, [first]], [b, [other]]) =>
          this.#turnOf(a) - this.#turnOf(b) || (first as Due).due_at - (other as Due).due_at,
      )[0] as [string, Due[]]
      dealt.push(own.shift() as Due)
      if (own.length === 0) waiting.delete(caller)
      this.#count += 1
      this.#lastTurn.set(caller, this.#count)
    }
    return dealt
  }

  #turnOf(caller: string): number {
    return this.#lastTurn.get(caller) ?? 0
  }
}

/** The ids of up to `limit` endings that are due, each caller in its turn; on PostgreSQL nobody else gets them meanwhile. */
export async function inTurns(
  trx: Trx,
  { turns, limit, ...wanted }: Wanted & { turns: Turns; limit: number },
): Promise<string[]> {
  const due: Due[] = []
  for (const caller of await callersWaiting(trx, wanted.paused)) {
    const some = dueOf(trx, caller, wanted)
      .select(['id', 'requested_by', 'due_at'])
      .limit(limit)
      .$if(engineOf(trx) === 'postgres', (query) => query.forUpdate().skipLocked())
    due.push(...(await some.execute()))
  }
  return turns.deal(due, limit).map(({ id }) => id)
}

/** The one that is due first, an urgent one before others, of all who are not paused. */
export async function firstOfOthers(db: Db, now: number, paused: string[]): Promise<EndingRow | undefined> {
  const callers = await callersWaiting(db, paused)
  for (const urgent of [1, 0] as const) {
    const first: EndingRow[] = []
    for (const caller of callers)
      first.push(...(await dueOf(db, caller, { now, urgent, paused }).selectAll().limit(1).execute()))
    if (first.length > 0) return first.sort((a, b) => a.due_at - b.due_at)[0]
  }
  return undefined
}
