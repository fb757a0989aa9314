import { type SelectQueryBuilder, sql } from 'kysely'
import type { NotificationState, NotificationType } from '../../notification.ts'
import type { Db, NotificationRow, Tables } from '../schema.ts'

/** Every field narrows. */
export interface NotificationFilter {
  state?: NotificationState
  /** the id of the ending that it is about */
  ending?: string
  caller?: string
  type?: NotificationType
  /** the id behind which the page begins */
  before?: string
}

/** `next` is what the page after this one begins behind; a page may be short, or empty, and still have one after it. */
export interface NotificationPage {
  notifications: NotificationRow[]
  next: string | undefined
}

// What no index finds is looked for among as many at a time, however large the ledger is.
const LOOKED_THROUGH = 5_000

type Notifications<O = NotificationRow> = SelectQueryBuilder<Tables, 'notifications', O>

/** Newest first: UUIDv7 ids sort by the time they were made. */
export async function pageOfNotifications(
  db: Db,
  filter: NotificationFilter,
  limit: number,
): Promise<NotificationPage> {
  const walked = <O>(query: Notifications<O>) => walk(query, filter)
  const isWhole = Object.keys(filter).filter((name) => name !== 'before').length <= 1 && !filter.type
  const end = isWhole
    ? undefined
    : await walked(db.selectFrom('notifications').select('id'))
        .orderBy('id', 'desc')
        .offset(LOOKED_THROUGH - 1)
        .limit(1)
        .executeTakeFirst()
  let query = narrowed(walked(db.selectFrom('notifications').selectAll()), filter)
  if (end) query = query.where('id', '>=', end.id)
  const rows = await query
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute()
  const notifications = rows.slice(0, limit)
  return { notifications, next: rows.length > limit ? notifications.at(-1)?.id : end?.id }
}

/** The index that is walked. */
function walk<O>(query: Notifications<O>, { state, ending, caller, before }: NotificationFilter) {
  const behind = before === undefined ? query : query.where('id', '<', before.toLowerCase())
  if (ending !== undefined) return behind.where('ending_id', '=', ending.toLowerCase())
  if (state === 'failed' || state === 'pending') return behind.where('state', '=', sql.lit(state))
  return caller === undefined ? behind : behind.where('caller', '=', caller)
}

function narrowed(query: Notifications, { state, caller, type }: NotificationFilter): Notifications {
  let narrow = query
  if (state) narrow = narrow.where('state', '=', sql.lit(state))
  if (caller !== undefined) narrow = narrow.where('caller', '=', caller)
  if (type !== undefined) narrow = narrow.where('type', '=', sql.lit(type))
  return narrow
}
