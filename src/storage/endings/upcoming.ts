import { sql } from 'kysely'
import type { Db, EndingRow } from '../schema.ts'
import { PENDING } from './conditions.ts'
import { type EndingFilter, LOOKED_THROUGH, narrowed, ofSession } from './pages.ts'

/** A place in the order of due times: behind the ending that is due then (epoch ms) and has this id. */
export interface Place {
  dueAt: number
  id: string
}

/** `next` is the place that the page after this one begins behind; a page may be short, and still have one after it. */
export interface UpcomingPage {
  endings: EndingRow[]
  next: Place | undefined
}

/** Pending endings in the order of their due times, the earliest first. */
export async function pageOfUpcoming(
  db: Db,
  filter: EndingFilter,
  limit: number,
  behind?: Place,
): Promise<UpcomingPage> {
  const ranges = await Promise.all(
    ([1, 0] as const).map((urgent) => range(db, filter, limit, urgent, behind)),
  )
  const rows = ranges.flatMap(({ endings }) => endings).sort(inOrder)
  const end = ranges
    .flatMap(({ end }) => (end ? [end] : []))
    .sort((a, b) => a.dueAt - b.dueAt || (a.id < b.id ? -1 : 1))[0]
  // What lies behind the place where one range was given up may have something of it before it.
  const sure = end ? rows.filter((row) => inOrder(row, { due_at: end.dueAt, id: end.id }) <= 0) : rows
  const endings = sure.slice(0, limit)
  const last = endings.at(-1)
  if (sure.length > limit && last) return { endings, next: { dueAt: last.due_at, id: last.id } }
  return { endings, next: end }
}

type Ordered = Pick<EndingRow, 'due_at' | 'id'>

function inOrder(a: Ordered, b: Ordered): number {
  return a.due_at - b.due_at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
}

/** Of one range of the index that claims walk, up to one more than `limit`, and where it was given up. */
async function range(db: Db, filter: EndingFilter, limit: number, urgent: 0 | 1, behind: Place | undefined) {
  let walked = db
    .selectFrom('endings')
    .where('state', '=', PENDING)
    .where('urgent', '=', sql.lit(urgent))
    .orderBy('due_at')
    .orderBy('id')
  // An index has each caller's in this order too.
  if (filter.requestedBy !== undefined) walked = walked.where('requested_by', '=', filter.requestedBy)
  if (filter.dueAfter !== undefined) walked = walked.where('due_at', '>', filter.dueAfter)
  if (filter.dueBefore !== undefined) walked = walked.where('due_at', '<', filter.dueBefore)
  if (behind)
    walked = walked
      .where('due_at', '>=', behind.dueAt)
      .where((eb) => eb.or([eb('due_at', '>', behind.dueAt), eb('id', '>', behind.id.toLowerCase())]))
  const end = await walked
    .select(['due_at', 'id'])
    .offset(LOOKED_THROUGH - 1)
    .limit(1)
    .executeTakeFirst()
  let query = narrowed(walked.selectAll(), filter)
  if (filter.session !== undefined) query = query.where('id', 'in', ofSession(db, filter.session))
  if (end) query = query.where('due_at', '<=', end.due_at)
  const endings = await query.limit(limit + 1).execute()
  return { endings, end: end && { dueAt: end.due_at, id: end.id } }
}
