import { type SelectQueryBuilder, sql } from 'kysely'
import type { HeldRoom } from '../../time-limits/holds.ts'
import { EXTERNAL, namesOf, type RoomNames } from '../../time-limits/rules.ts'
import { compiledOnce } from '../engine/compiled.ts'
import type { Db, Engine, HoldRow, Tables, Trx } from '../schema.ts'

/** A hold as policy sees it. */
function heldRoom({ room_kind, room, ...row }: HoldRow): HeldRoom {
  return {
    id: row.id,
    name: room_kind === 'external' ? EXTERNAL + room : room,
    from: row.from_at,
    requestedBy: row.requested_by,
    subject: row.subject,
    endingId: row.ending_id,
  }
}

/** Not lifted, and not over: in force or to come. Two ranges of an index, since one would be neither. */
function current<O>(query: SelectQueryBuilder<Tables, 'holds', O>, now: number) {
  const open = query.where('lifted_at', 'is', null)
  return [open.where('until_at', 'is', null), open.where('until_at', '>', now)] as const
}

/**
 * The holds in force at `now` on these rooms: of each party and name of a room the one that began first, for what has
 * begun under any of them has begun under that one. With an engine, they stay as they are until the transaction ends.
 */
export async function holdsInForce(
  db: Db | Trx,
  rooms: RoomNames[],
  now: number,
  engine?: Engine,
): Promise<HeldRoom[]> {
  const ids = (
    await Promise.all(byKind(rooms).map(([kind, names]) => firstOfEach(db, kind, names, now)))
  ).flat()
  if (ids.length === 0) return []
  const rows = await db
    .selectFrom('holds')
    .selectAll()
    .where('id', 'in', ids)
    .where('lifted_at', 'is', null)
    .$if(engine === 'postgres', (query) => query.forShare())
    .execute()
  return rows.sort((a, b) => a.from_at - b.from_at || (a.id < b.id ? -1 : 1)).map(heldRoom)
}

type Kind = HoldRow['room_kind']

function byKind(rooms: RoomNames[]): Array<[Kind, string[]]> {
  const plain = rooms.flatMap((room) => namesOf({ ...room, externalId: null }))
  const external = rooms.flatMap(({ externalId }) => externalId ?? [])
  const kinds: Array<[Kind, string[]]> = [
    ['room', [...new Set(plain)]],
    ['external', [...new Set(external)]],
  ]
  return kinds.filter(([, names]) => names.length > 0)
}

// All that this reads is in one index.
async function firstOfEach(db: Db | Trx, kind: Kind, names: string[], now: number): Promise<string[]> {
  const ranked = db
    .selectFrom('holds')
    .select([
      'id',
      sql<number>`row_number() over (partition by room, requested_by order by from_at, id)`.as('nth'),
    ])
    .where('lifted_at', 'is', null)
    .where('room_kind', '=', kind)
    .where('room', 'in', names)
    .where('from_at', '<=', now)
    .where((eb) => eb.or([eb('until_at', 'is', null), eb('until_at', '>', now)]))
  const rows = await db.selectFrom(ranked.as('ranked')).select('id').where('nth', '=', 1).execute()
  return rows.map(({ id }) => id)
}

/** Whether a hold is in force; with `id`, one on a room of that UUID, or on one that is named in another way. */
export async function isAnyInForce(db: Db, now: number, id?: string): Promise<boolean> {
  const inForce = db.selectFrom('holds').select('id').where('from_at', '<=', now).orderBy('until_at').limit(1)
  const ranges =
    id === undefined
      ? current(inForce, now)
      : [
          ...current(inForce.where('by_id', '=', sql.lit(0)), now),
          ...current(inForce.where('room_kind', '=', 'room').where('room', '=', id), now),
        ]
  for (const range of ranges) if (await range.executeTakeFirst()) return true
  return false
}

// Some milliseconds' worth; whoever has that many need not know how many more.
const MOST_COUNTED = 100_000

/** How many holds are in force; counted no further than `MOST_COUNTED` of those that never run out, and of those that do. */
export async function countInForce(db: Db, now: number): Promise<number> {
  const inForce = db.selectFrom('holds').select('id').where('from_at', '<=', now).limit(MOST_COUNTED)
  const counts = current(inForce, now).map(async (some) => {
    const { count } = await db
      .selectFrom(some.as('some'))
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow()
    return Number(count)
  })
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
}

/** Whether a party keeps any room closed, now or in time to come. */
export async function hasHolds(db: Db | Trx, requestedBy: string, now: number): Promise<boolean> {
  // In the order of the index, so that PostgreSQL takes that one, however many holds have run out.
  const own = db
    .selectFrom('holds')
    .select('id')
    .where('requested_by', '=', requestedBy)
    .orderBy('until_at')
    .limit(1)
  for (const range of current(own, now)) if (await range.executeTakeFirst()) return true
  return false
}

export function findHold(db: Db | Trx, id: string): Promise<HoldRow | undefined> {
  return db.selectFrom('holds').selectAll().where('id', '=', id.toLowerCase()).executeTakeFirst()
}

/** The hold that an ending came with, as it is now. */
export async function holdOfEnding(db: Db | Trx, endingId: string): Promise<HoldRow | undefined> {
  return (await selectHoldOfEnding(db, { endingId })).rows[0]
}

const selectHoldOfEnding = compiledOnce((db, at: { endingId: string }) =>
  db.selectFrom('holds').selectAll().where('ending_id', '=', at.endingId).orderBy('id', 'desc').limit(1),
)

// More than that are many enough for a page to be full soon, in whatever order they are walked.
const FEW = 5_000

/** The ids of all holds in force or to come, newest first, unless they are many: however many have run out. */
async function fewInForce(db: Db, now: number): Promise<string[] | undefined> {
  const ids: string[] = []
  const inForce = db
    .selectFrom('holds')
    .select('id')
    .orderBy('until_at')
    .limit(FEW + 1)
  for (const range of current(inForce, now)) for (const { id } of await range.execute()) ids.push(id)
  return ids.length > FEW ? undefined : ids.sort().reverse()
}

async function holdsAmong(db: Db, ids: string[]): Promise<HoldRow[]> {
  if (ids.length === 0) return []
  return db.selectFrom('holds').selectAll().where('id', 'in', ids).orderBy('id', 'desc').execute()
}

/** Holds in force or to come, newest first; `before` is the id of the last of the page before. */
export async function listHolds(
  db: Db,
  now: number,
  before: string | undefined,
  limit: number,
  room?: RoomNames,
): Promise<HoldRow[]> {
  const few = room ? undefined : await fewInForce(db, now)
  if (few) return holdsAmong(db, few.filter((id) => before === undefined || id < before).slice(0, limit))
  let all = db.selectFrom('holds').selectAll().orderBy('id', 'desc').limit(limit)
  if (before !== undefined) all = all.where('id', '<', before)
  const queries = room
    ? byKind([room]).map(([kind, names]) => all.where('room_kind', '=', kind).where('room', 'in', names))
    : [all]
  const found = await Promise.all(
    queries.flatMap((query) => current(query, now)).map((query) => query.execute()),
  )
  return found
    .flat()
    .sort((a, b) => (a.id > b.id ? -1 : 1))
    .slice(0, limit)
}
