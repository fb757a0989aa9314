import { sql } from 'kysely'
import { TooManyError } from '../engine/errors.ts'
import type { Db, Trx } from '../schema.ts'

/** How many rooms one party may keep closed, now or in time to come, and how many rules it may have. */
const MOST_HOLDS = 10_000
const MOST_RULES = 10_000

/** How many holds a party has that are in force or to come; counted no further than the bound. */
async function countHolds(db: Db | Trx, requestedBy: string, now: number): Promise<number> {
  const own = db
    .selectFrom('holds')
    .select(sql<number>`1`.as('one'))
    .where('requested_by', '=', requestedBy)
    .where('lifted_at', 'is', null)
    .limit(MOST_HOLDS)
  const counts = [own.where('until_at', 'is', null), own.where('until_at', '>', now)].map(async (some) => {
    const { count } = await db
      .selectFrom(some.as('some'))
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow()
    return Number(count)
  })
  const [open, ahead] = await Promise.all(counts)
  return (open as number) + (ahead as number)
}

/** How many more holds each party may have, counted once in a transaction. */
export class HoldsLeft {
  readonly #trx: Trx
  readonly #now: number
  readonly #left = new Map<string, number>()

  constructor(trx: Trx, now: number) {
    this.#trx = trx
    this.#now = now
  }

  /** @throws TooManyError where there is none left */
  async take(party: string): Promise<void> {
    const left = this.#left.get(party) ?? MOST_HOLDS - (await countHolds(this.#trx, party, this.#now))
    if (left <= 0)
      throw new TooManyError(
        `${party} keeps ${MOST_HOLDS} rooms closed already, now or in time to come; that is the most`,
      )
    this.#left.set(party, left - 1)
  }

  giveBack(party: string): void {
    const left = this.#left.get(party)
    if (left !== undefined) this.#left.set(party, left + 1)
  }
}

/** @throws TooManyError where a party has more rules than it may have */
export async function mayHaveSoManyRules(trx: Trx, requestedBy: string): Promise<void> {
  const own = trx
    .selectFrom('time_limits')
    .select('room')
    .where('requested_by', '=', requestedBy)
    .limit(MOST_RULES + 1)
  const { count } = await trx
    .selectFrom(own.as('own'))
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  if (Number(count) > MOST_RULES)
    throw new TooManyError(`${requestedBy} has ${MOST_RULES} rules for rooms already; that is the most`)
}
