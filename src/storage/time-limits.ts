import type { Rule } from '../time-limits/rules.ts'
import type { Caller } from './endings.ts'
import type { Db, TimeLimitRow, Trx } from './schema.ts'

export type RuleChanged = { rule: TimeLimitRow; created?: boolean } | { obstacle: 'forbidden' | 'not-found' }

/** `warnMinutes` is for those that say nothing of warnings. */
export async function loadRules(db: Db | Trx, warnMinutes: number[]): Promise<Rule[]> {
  const rows = await db.selectFrom('time_limits').selectAll().execute()
  return rows.map(({ room, owner, max_minutes, warn_minutes }) => ({
    room,
    owner,
    maxMinutes: max_minutes,
    warnMinutes: warn_minutes === null ? warnMinutes : JSON.parse(warn_minutes),
  }))
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

/** Makes or changes the rule for a room. Who made it first owns it, whoever changes it. */
export async function putRule(trx: Trx, rule: Rule, caller: Caller, now: number): Promise<RuleChanged> {
  const values = {
    max_minutes: rule.maxMinutes,
    warn_minutes: rule.warnMinutes === undefined ? null : JSON.stringify(rule.warnMinutes),
    updated_at: now,
  }
  const made = await trx
    .insertInto('time_limits')
    .values({ room: rule.room, owner: caller.name, created_at: now, ...values })
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst()
  if (made) return { rule: made, created: true }
  let query = trx.updateTable('time_limits').set(values).where('room', '=', rule.room)
  if (!caller.operator) query = query.where('owner', '=', caller.name)
  const changed = await query.returningAll().executeTakeFirst()
  return changed ? { rule: changed } : { obstacle: 'forbidden' }
}

export async function deleteRule(trx: Trx, room: string, caller: Caller): Promise<RuleChanged> {
  const rule = await findRule(trx, room)
  if (!rule) return { obstacle: 'not-found' }
  if (rule.owner !== caller.name && !caller.operator) return { obstacle: 'forbidden' }
  await trx.deleteFrom('time_limits').where('room', '=', room).execute()
  return { rule }
}
