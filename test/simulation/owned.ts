import type { Db, EndingRow, HoldRow, TimeLimitRow } from '../../src/storage/schema.ts'
import type { CallerName } from '../helper/service.ts'

/** What everybody is owed, as the ledger has it: pending endings, rooms kept closed, and rules. */
export interface Owned {
  endings: Map<string, EndingRow>
  holds: Map<string, HoldRow>
  rules: Map<string, TimeLimitRow>
}

export async function readOwned(db: Db): Promise<Owned> {
  const endings = await db.selectFrom('endings').selectAll().where('state', '=', 'pending').execute()
  const holds = await db.selectFrom('holds').selectAll().where('lifted_at', 'is', null).execute()
  const rules = await db.selectFrom('time_limits').selectAll().execute()
  return {
    endings: new Map(endings.map((row) => [row.id, row])),
    holds: new Map(holds.map((row) => [row.id, row])),
    rules: new Map(rules.map((row) => [row.room, row])),
  }
}

/**
 * What a step of `as` has changed of what others are owed; each of these is a fault. Endings may be carried out
 * meanwhile, and a party's rules and holds may find sessions. An operator changes one party's at a time.
 */
export async function othersChanged(db: Db, before: Owned, as: CallerName): Promise<string[]> {
  const after = await readOwned(db)
  const changes = [
    ...(await endingsChanged(db, before, after)),
    ...holdsChanged(before, after),
    ...rulesChanged(before, after),
  ]
  const owner = as === 'ops' ? changes[0]?.of : as
  return changes.filter(({ of }) => of !== owner).map(({ of, what }) => `of ${of}: ${what}`)
}

interface Change {
  of: string
  what: string
}

const asksFor = ({ target_kind, target_id, due_at, reason, key, subject }: EndingRow) =>
  JSON.stringify([target_kind, target_id, due_at, reason, key, subject])

async function endingsChanged(db: Db, before: Owned, after: Owned): Promise<Change[]> {
  const changes: Change[] = []
  const gone: string[] = []
  for (const [id, row] of before.endings) {
    const now = after.endings.get(id)
    if (!now) gone.push(id)
    else if (asksFor(now) !== asksFor(row))
      changes.push({ of: row.requested_by, what: `ending ${id} was ${asksFor(row)} and is ${asksFor(now)}` })
  }
  if (gone.length === 0) return changes
  const rows = await db
    .selectFrom('endings')
    .select(['id', 'requested_by'])
    .where('id', 'in', gone)
    .where('state', '=', 'cancelled')
    .execute()
  return [...changes, ...rows.map(({ id, requested_by: of }) => ({ of, what: `ending ${id} is cancelled` }))]
}

function holdsChanged(before: Owned, after: Owned): Change[] {
  return [...before.holds].flatMap(([id, row]) => {
    const now = after.holds.get(id)
    const isSame = now && now.from_at === row.from_at && now.until_at === row.until_at
    return isSame ? [] : { of: row.requested_by, what: `hold ${id} on ${row.room} is another, or lifted` }
  })
}

function rulesChanged(before: Owned, after: Owned): Change[] {
  return [...before.rules].flatMap(([room, row]) => {
    const now = after.rules.get(room)
    const isSame = now?.requested_by === row.requested_by && now.max_minutes === row.max_minutes
    return isSame ? [] : { of: row.requested_by, what: `the rule for ${room} is another, or gone` }
  })
}
