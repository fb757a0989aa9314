import { type RawBuilder, type SelectQueryBuilder, sql } from 'kysely'
import { compiledOnce, engineOf } from '../engine/compiled.ts'
import type { Db, EndingRow, Tables, Trx } from '../schema.ts'
import { isUnclaimed, PENDING } from './conditions.ts'
import { firstOfOthers, inTurns, Turns } from './turns.ts'

/** Which endings a claim prefers. */
export interface ClaimOptions {
  /** only urgent ones */
  urgentOnly?: boolean
  /** those that wait for another attempt come last, and of them whichever has waited longest comes first */
  retriesLast?: boolean
  /** calls are short: the callers take turns, each in the order of its due times */
  turns?: Turns
  /** callers of whom nothing is claimed */
  paused?: string[]
  /** it is the call that asks whether refused credentials work again */
  isProbe?: boolean
}

/**
 * Claims up to `limit` endings that are due and to be looked at by `now`, until `until` (all epoch ms): urgent ones
 * first, then by due time. Two claimers never get the same one.
 */
export async function claimEndings(
  trx: Trx,
  limit: number,
  now: number,
  until: number,
  { urgentOnly = false, retriesLast = false, turns, isProbe = false, paused = [] }: ClaimOptions = {},
): Promise<EndingRow[]> {
  const about = { now, until, isProbe: isProbe ? 1 : 0 }
  if (paused.length > 0)
    return claimByCaller(trx, { ...about, limit, urgentOnly, turns: turns ?? new Turns(), paused })
  const claim = retriesLast ? claimRetriesLast : claimInOrder
  const isDealt = turns !== undefined && !retriesLast && !urgentOnly
  const { rows } = await claim(trx, { ...about, limit: urgentOnly || isDealt ? 0 : limit, urgent: limit })
  const urgent = rows.sort(byDueTime)
  if (!isDealt || urgent.length === limit) return urgent
  const ids = await inTurns(trx, { turns, limit: limit - urgent.length, now, urgent: 0, paused })
  return [...urgent, ...(await claimThese(trx, ids, about))]
}

interface Claiming {
  limit: number
  now: number
  until: number
  isProbe: number
}

/** Past what is paused, however much that is: each caller by itself, urgent ones first. */
async function claimByCaller(
  trx: Trx,
  { limit, urgentOnly, ...about }: Claiming & Required<Pick<ClaimOptions, 'urgentOnly' | 'paused' | 'turns'>>,
): Promise<EndingRow[]> {
  const urgent = await inTurns(trx, { ...about, limit, urgent: 1 })
  const rest = urgentOnly ? 0 : limit - urgent.length
  const others = rest > 0 ? await inTurns(trx, { ...about, limit: rest, urgent: 0 }) : []
  return claimThese(trx, [...urgent, ...others], about)
}

/** In that order. */
async function claimThese(
  trx: Trx,
  ids: string[],
  { now, until, isProbe }: { now: number; until: number; isProbe: number },
) {
  if (ids.length === 0) return []
  const rows = await trx
    .updateTable('endings')
    .set((eb) => ({ claim: eb('claim', '+', 1), claimed_until: until }))
    .where('id', 'in', ids)
    .where('state', '=', PENDING)
    .where(isUnclaimed(now))
    .where(mayCall(now, isProbe, OWNER))
    .returningAll()
    .execute()
  return rows.sort((a, b) => ids.indexOf(a.id) - ids.indexOf(b.id))
}

/** Nothing is claimed while no call may leave for `caller`, though this process may not have heard of that yet. */
export function mayCall(now: number, isProbe: number, caller: RawBuilder<string>) {
  return sql<boolean>`(not exists (select 1 from control where until > ${now}
      and (name = 'pause' or (name = 'refusal' and cast(${isProbe} as integer) = 0)))
    and not exists (select 1 from pauses where pauses.caller = ${caller} or pauses.caller = ''))`
}

const OWNER = sql<string>`endings.requested_by`

function byDueTime(a: EndingRow, b: EndingRow): number {
  return b.urgent - a.urgent || a.due_at - b.due_at || (a.id < b.id ? -1 : 1)
}

/** `urgent` is how many urgent ones may be claimed, `limit` how many in all; only urgent ones where that is 0. */
interface ClaimParameters extends Record<string, unknown> {
  urgent: number
  limit: number
  now: number
  until: number
  isProbe: number
}

// Urgent and other endings apart, and retries apart where they come last, so that each is one range of an index, read
// in order and only as far as needed.
const claimInOrder = compiledOnce((db, at: ClaimParameters) => claimFrom(db, at, ['all']))
const claimRetriesLast = compiledOnce((db, at: ClaimParameters) =>
  claimFrom(db, at, ['first attempts', 'retries']),
)

type Which = 'all' | 'first attempts' | 'retries'

function claimFrom(db: Db | Trx, at: ClaimParameters, orders: Which[]) {
  const ranges = ([1, 0] as const).flatMap((urgent) => orders.map((order) => ({ urgent, order })))
  const isPostgres = engineOf(db) === 'postgres'
  const picks = ranges.map(({ urgent, order }, i) => {
    const query = ordered(due(db.selectFrom('endings').select('id'), urgent, at.now), order)
    const some = query.limit(urgent === 1 ? at.urgent : at.limit)
    return sql`${sql.ref(`range_${i}`)} as ${isPostgres ? some.forUpdate().skipLocked() : some}`
  })
  // Each range may have as many as all may have: those of the first ones are taken.
  const picked = ranges.map((_, i) => sql`select id from ${sql.ref(`range_${i}`)}`)
  return sql<EndingRow>`with ${sql.join(picks)} update endings
    set claim = endings.claim + 1, claimed_until = cast(${at.until} as bigint)
    where id in (select id from (${sql.join(picked, sql` union all `)}) as picked limit ${at.urgent})
      and ${mayCall(at.now, at.isProbe, OWNER)}
    returning *`
}

type DueQuery<O> = SelectQueryBuilder<Tables, 'endings', O>

function ordered<O>(query: DueQuery<O>, which: Which): DueQuery<O> {
  if (which === 'retries') return query.where('retry_since', 'is not', null).orderBy('next_attempt_at')
  return (which === 'all' ? query : query.where('retry_since', 'is', null)).orderBy('due_at').orderBy('id')
}

function due<O>(query: DueQuery<O>, urgent: 0 | 1, now: number): DueQuery<O> {
  return query
    .where('state', '=', PENDING)
    .where('urgent', '=', sql.lit(urgent))
    .where('due_at', '<=', now)
    .where('next_attempt_at', '<=', now)
    .where(isUnclaimed(now))
}

const firstDueOf = ([1, 0] as const).map((urgent) =>
  compiledOnce((db, { now }: { now: number }) =>
    ordered(due(db.selectFrom('endings').selectAll(), urgent, now), 'all').limit(1),
  ),
)

/** The one that a claim would take first, without taking it: how the worker knows what it is asking budget for. */
export async function firstDue(db: Db, now: number, paused: string[]): Promise<EndingRow | undefined> {
  if (paused.length > 0) return firstOfOthers(db, now, paused)
  for (const first of firstDueOf) {
    const { rows } = await first(db, { now })
    if (rows[0]) return rows[0]
  }
  return undefined
}

const nextUnclaimed = (db: Db | Trx) =>
  db
    .selectFrom('endings')
    .select('next_attempt_at')
    .where('state', '=', PENDING)
    .where('claimed_until', 'is', null)
    .orderBy('next_attempt_at')
    .limit(1)

const firstLeaseOver = (db: Db | Trx) =>
  db
    .selectFrom('endings')
    .select('claimed_until')
    .where('state', '=', PENDING)
    .where('claimed_until', 'is not', null)
    .orderBy('claimed_until')
    .limit(1)

// One round trip, for this is asked after each claim. On SQLite no other process is there to have died.
const nextOfAll = compiledOnce((db: Db | Trx, _: Record<string, never>) => {
  const next = db.selectNoFrom(nextUnclaimed(db).as('next'))
  return engineOf(db) === 'sqlite'
    ? next.select(sql<number | null>`null`.as('over'))
    : next.select(firstLeaseOver(db).as('over'))
})

/** What is to come of those who are paused may be among it: they are looked for in vain once, when it is due. */
async function nextOfOthers(db: Db, now: number, paused: string[]): Promise<number | undefined> {
  const due = await firstOfOthers(db, now, paused)
  if (due) return due.next_attempt_at
  const next = await db
    .selectFrom('endings')
    .select('next_attempt_at')
    .where('state', '=', PENDING)
    .where('claimed_until', 'is', null)
    .where('next_attempt_at', '>', now)
    .orderBy('next_attempt_at')
    .limit(1)
    .executeTakeFirst()
  return next?.next_attempt_at
}

/**
 * When the next pending ending is to be looked at (epoch ms): one that nobody has, or, where other processes may have
 * died with theirs, one whose lease runs out.
 */
export async function nextAttemptAt(db: Db, now: number, paused: string[]): Promise<number | undefined> {
  const [all] = (await nextOfAll(db, {})).rows
  const next = paused.length > 0 ? await nextOfOthers(db, now, paused) : all?.next
  const times = [next, all?.over].filter((at) => typeof at === 'number')
  return times.length > 0 ? Math.min(...times) : undefined
}

/**
 * Makes claims last until `until` (epoch ms). Returns the ids of those that are still what they were. On PostgreSQL what
 * somebody else is just writing is renewed by itself afterwards: whoever waits for one row and holds others is in the
 * way of a commit that writes them in another order.
 */
export async function renewClaims(
  db: Db,
  held: Array<Pick<EndingRow, 'id' | 'claim'>>,
  until: number,
): Promise<Set<string>> {
  if (engineOf(db) === 'sqlite') return renewed(db, held, until, false)
  const done = await renewed(db, held, until, true)
  for (const one of held.filter(({ id }) => !done.has(id)))
    for (const id of await renewed(db, [one], until, false)) done.add(id)
  return done
}

async function renewed(
  db: Db,
  held: Array<Pick<EndingRow, 'id' | 'claim'>>,
  until: number,
  skipsLocked: boolean,
): Promise<Set<string>> {
  const list = JSON.stringify(held)
  const isHeld =
    engineOf(db) === 'postgres'
      ? sql<boolean>`(id, claim) in (select id, claim from jsonb_to_recordset(cast(${list} as jsonb)) as held (id text, claim integer))`
      : sql<boolean>`(id, claim) in (select json_extract(value, '$.id'), json_extract(value, '$.claim') from json_each(${list}))`
  const rows = await db
    .updateTable('endings')
    .set({ claimed_until: until })
    .$if(!skipsLocked, (query) => query.where(isHeld))
    .$if(skipsLocked, (query) =>
      query.where('id', 'in', (eb) =>
        eb
          .selectFrom('endings')
          .select('id')
          .where(isHeld)
          .where('state', '=', PENDING)
          .forUpdate()
          .skipLocked(),
      ),
    )
    .where('state', '=', PENDING)
    .where('claimed_until', 'is not', null)
    .returning('id')
    .execute()
  return new Set(rows.map(({ id }) => id))
}

/** For the only process on a database, when it starts: whoever held these claims is dead. Returns how many. */
export async function clearClaims(trx: Trx): Promise<number> {
  const { numUpdatedRows } = await trx
    .updateTable('endings')
    .set({ claimed_until: null })
    .where('state', '=', PENDING)
    .where('claimed_until', 'is not', null)
    .executeTakeFirst()
  return Number(numUpdatedRows)
}
