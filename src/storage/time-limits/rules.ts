import { sql } from 'kysely'
import { type Caller, mayChange } from '../../caller.ts'
import { isUuid, namesOf, type RoomNames, type Rule } from '../../time-limits/rules.ts'
import type { Db, Engine, TimeLimitRow, Trx } from '../schema.ts'
import { mayHaveSoManyRules } from './bounds.ts'

export type RuleChanged = { rule: TimeLimitRow; created?: boolean } | { obstacle: 'forbidden' | 'not-found' }

/**
 * The rules that name one of these rooms. `warnMinutes` is for those that say nothing of warnings. With an engine, they
 * stay as they are until the transaction ends.
 */
export async function rulesNaming(
  db: Db | Trx,
  rooms: RoomNames[],
  warnMinutes: number[],
  engine?: Engine,
): Promise<Rule[]> {
  const names = [...new Set(rooms.flatMap(namesOf))]
  if (names.length === 0) return []
  const rows = await db
    .selectFrom('time_limits')
    .selectAll()
    .where('room', 'in', names)
    .$if(engine === 'postgres', (query) => query.orderBy('room').forShare())
    .execute()
  return rows.map(({ room, requested_by, max_minutes, warn_minutes }) => ({
    room,
    requestedBy: requested_by,
    maxMinutes: max_minutes,
    warnMinutes: warn_minutes === null ? warnMinutes : JSON.parse(warn_minutes),
  }))
}

/** Whether there is a rule; with `id`, one for the room of that UUID, or one that names its room in another way. */
export async function isAnyRule(db: Db, id?: string): Promise<boolean> {
  const rule = db.selectFrom('time_limits').select('room').limit(1)
  const ranges =
    id === undefined ? [rule] : [rule.where('room', '=', id), rule.where('by_id', '=', sql.lit(0))]
  for (const range of ranges) if (await range.executeTakeFirst()) return true
  return false
}

/** How many rules there are; each party may have so many and no more. */
export async function countRules(db: Db): Promise<number> {
  const { count } = await db
    .selectFrom('time_limits')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return Number(count)
}

export function findRule(db: Db | Trx, room: string): Promise<TimeLimitRow | undefined> {
  return db.selectFrom('time_limits').selectAll().where('room', '=', room).executeTakeFirst()
}

/** By the name of their room; `after` is the last name of the page before. */
export function listRules(db: Db, after: string | undefined, limit: number): Promise<TimeLimitRow[]> {
  let query = db.selectFrom('time_limits').selectAll().orderBy('room').limit(limit)
  if (after !== undefined) query = query.where('room', '>', after)
  return query.execute()
}

/**
 * Makes or changes the rule for a room. Who made it first owns it, whoever changes it.
 * @throws TooManyError where the caller has as many as it may
 */
export async function upsertRule(trx: Trx, rule: Rule, caller: Caller, now: number): Promise<RuleChanged> {
  const values = {
    max_minutes: rule.maxMinutes,
    warn_minutes: rule.warnMinutes === undefined ? null : JSON.stringify(rule.warnMinutes),
    updated_at: now,
  }
  const made = await trx
    .insertInto('time_limits')
    .values({
      room: rule.room,
      by_id: isUuid(rule.room) ? 1 : 0,
      requested_by: caller.name,
      created_at: now,
      ...values,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst()
  if (made) {
    await mayHaveSoManyRules(trx, caller.name)
    return { rule: made, created: true }
  }
  const changed = await trx
    .updateTable('time_limits')
    .set(values)
    .where('room', '=', rule.room)
    .where((eb) => eb.or([eb.lit(caller.operator), eb('requested_by', '=', caller.name)]))
    .returningAll()
    .executeTakeFirst()
  return changed ? { rule: changed } : { obstacle: 'forbidden' }
}

export async function deleteRule(trx: Trx, room: string, caller: Caller): Promise<RuleChanged> {
  const rule = await findRule(trx, room)
  if (!rule) return { obstacle: 'not-found' }
  if (!mayChange(caller, rule.requested_by)) return { obstacle: 'forbidden' }
  await trx.deleteFrom('time_limits').where('room', '=', room).execute()
  return { rule }
}
