import { type SelectQueryBuilder, sql } from 'kysely'
import { type Failure, roomId, type State } from '../../ending.ts'
import type { Db, EndingRow, Tables } from '../schema.ts'
import { FAILED, PENDING } from './conditions.ts'

/** Every field narrows. `session` also finds endings of a room that made an end call for that session. */
export interface EndingFilter {
  state?: State
  reason?: string
  session?: string
  room?: string
  key?: string
  subject?: string
  requestedBy?: string
  /** epoch ms, exclusive */
  dueBefore?: number
  dueAfter?: number
  failure?: Failure
  /** epoch ms, exclusive */
  finishedBefore?: number
  finishedAfter?: number
  /** the id behind which the page begins */
  before?: string
}

/** `next` is what the page after this one begins behind; a page may be short, or empty, and still have one after it. */
export interface EndingPage {
  endings: EndingRow[]
  next: string | undefined
}

// What no index finds is looked for among as many endings at a time: some ms of work, however large the ledger is.
export const LOOKED_THROUGH = 5_000
const IDS_AT_ONCE = 250

type Endings<O = EndingRow> = SelectQueryBuilder<Tables, 'endings', O>

/** Newest first: UUIDv7 ids sort by the time they were made. */
export async function pageOfEndings(db: Db, filter: EndingFilter, limit: number): Promise<EndingPage> {
  const due = await dueOnes(db, filter)
  return due ? pageAmong(db, due, filter, limit) : pageOfWalk(db, filter, limit)
}

async function pageOfWalk(db: Db, filter: EndingFilter, limit: number): Promise<EndingPage> {
  const { before } = filter
  const behind = <O>(query: Endings<O>) =>
    before === undefined ? query : query.where('id', '<', before.toLowerCase())
  const { walked, isWhole } = walkOf(db, filter)
  // Where the index has all that is asked for, the page is full; else it ends where enough has been looked through.
  const end = isWhole
    ? undefined
    : await walked(behind(db.selectFrom('endings').select('id')))
        .orderBy('id', 'desc')
        .offset(LOOKED_THROUGH - 1)
        .limit(1)
        .executeTakeFirst()
  let query = narrowed(walked(behind(db.selectFrom('endings').selectAll())), filter)
  if (end) query = query.where('id', '>=', end.id)
  // One more than asked for tells whether there is a next page.
  const rows = await query
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute()
  return pageOf(rows, limit, end?.id)
}

/** Of these ids, newest first, those that are asked for: some at a time, until the page is full. */
async function pageAmong(db: Db, ids: string[], filter: EndingFilter, limit: number): Promise<EndingPage> {
  const rows: EndingRow[] = []
  for (let from = 0; from < ids.length && rows.length <= limit; from += IDS_AT_ONCE) {
    const some = db
      .selectFrom('endings')
      .selectAll()
      .where('id', 'in', ids.slice(from, from + IDS_AT_ONCE))
    rows.push(...(await narrowed(some, filter).orderBy('id', 'desc').execute()))
  }
  return pageOf(rows, limit, undefined)
}

function pageOf(rows: EndingRow[], limit: number, end: string | undefined): EndingPage {
  const endings = rows.slice(0, limit)
  return { endings, next: rows.length > limit ? endings.at(-1)?.id : end }
}

type Walked = <O>(query: Endings<O>) => Endings<O>

/** The index that is walked, newest first; `isWhole` where it has nothing else than what is asked for. */
function walkOf(db: Db, filter: EndingFilter): { walked: Walked; isWhole: boolean } {
  const { session, room, key, subject, failure } = filter
  // Only what has failed has a failure.
  const state = failure === undefined ? filter.state : (filter.state ?? 'failed')
  if (session !== undefined)
    return { walked: (query) => query.where('id', 'in', ofSession(db, session)), isWhole: true }
  const others = (...but: Array<keyof EndingFilter>) =>
    (Object.keys(filter) as Array<keyof EndingFilter>).some(
      (name) => name !== 'before' && filter[name] !== undefined && !but.includes(name),
    )
  if (room !== undefined && state === 'pending')
    return { walked: (query) => query.where('id', 'in', pendingInRoom(db, room)), isWhole: true }
  if (key !== undefined) return { walked: (query) => query.where('key', '=', key), isWhole: !others('key') }
  if (subject !== undefined)
    return { walked: (query) => query.where('subject', '=', subject), isWhole: !others('subject') }
  if (room !== undefined)
    return {
      walked: (query) => query.where('target_id', '=', roomId(room)),
      isWhole: !others('room'),
    }
  if (state === 'pending' || state === 'failed') {
    const literal = state === 'pending' ? PENDING : FAILED
    return {
      walked: (query) => query.where('state', '=', literal),
      isWhole: failure === undefined && !others('state'),
    }
  }
  return { walked: (query) => query, isWhole: !others() }
}

/** The endings for a session, and those of a room that made a call for it. */
export function ofSession(db: Db, session: string) {
  const id = session.toLowerCase()
  return db
    .selectFrom('endings')
    .select('id')
    .where('target_id', '=', id)
    .where('target_kind', '=', 'session')
    .union(db.selectFrom('attempts').select('ending_id as id').where('session', '=', id))
}

function pendingInRoom(db: Db, room: string) {
  return db
    .selectFrom('endings')
    .select('id')
    .where('state', '=', PENDING)
    .where('target_id', '=', roomId(room))
    .where('target_kind', '=', 'room')
}

/** The ids of pending ones by their due time, newest first, unless they are too many to be put into another order. */
async function dueOnes(
  db: Db,
  { state, dueBefore, dueAfter, before = '~' }: EndingFilter,
): Promise<string[] | undefined> {
  if (state !== 'pending' || (dueBefore === undefined && dueAfter === undefined)) return undefined
  const found: string[] = []
  // Each is a range of the index that claims walk, in its order, so that no engine thinks of another way.
  for (const urgent of [1, 0]) {
    let ids = db
      .selectFrom('endings')
      .select('id')
      .where('state', '=', PENDING)
      .where('urgent', '=', sql.lit(urgent))
      .orderBy('due_at')
      .limit(LOOKED_THROUGH + 1)
    if (dueBefore !== undefined) ids = ids.where('due_at', '<', dueBefore)
    if (dueAfter !== undefined) ids = ids.where('due_at', '>', dueAfter)
    for (const { id } of await ids.execute()) found.push(id)
    if (found.length > LOOKED_THROUGH) return undefined
  }
  return found
    .filter((id) => id < before.toLowerCase())
    .sort()
    .reverse()
}

export function narrowed(query: Endings, filter: EndingFilter): Endings {
  let narrow = query
  if (filter.state) narrow = narrow.where('state', '=', sql.lit(filter.state))
  if (filter.reason !== undefined) narrow = narrow.where('reason', '=', filter.reason)
  if (filter.key !== undefined) narrow = narrow.where('key', '=', filter.key)
  if (filter.subject !== undefined) narrow = narrow.where('subject', '=', filter.subject)
  if (filter.requestedBy !== undefined) narrow = narrow.where('requested_by', '=', filter.requestedBy)
  if (filter.dueBefore !== undefined) narrow = narrow.where('due_at', '<', filter.dueBefore)
  if (filter.dueAfter !== undefined) narrow = narrow.where('due_at', '>', filter.dueAfter)
  if (filter.failure !== undefined) narrow = narrow.where('failure', '=', filter.failure)
  if (filter.finishedBefore !== undefined) narrow = narrow.where('finished_at', '<', filter.finishedBefore)
  if (filter.finishedAfter !== undefined) narrow = narrow.where('finished_at', '>', filter.finishedAfter)
  if (filter.room !== undefined)
    narrow = narrow.where('target_kind', '=', 'room').where('target_id', '=', roomId(filter.room))
  return narrow
}
