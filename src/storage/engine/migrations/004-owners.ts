import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

// biome-ignore lint/suspicious/noExplicitAny: a migration must not follow the types of today's tables
type AnyDb = Kysely<any>

/**
 * Frozen. Each party has its own ending of a session, for its rules and for its holds; what a change of a rule still has
 * to visit; what a room was warned of; what events have booked; and indexes, so that nothing is read whole.
 */
export const migration: Migration = {
  async up(db: AnyDb): Promise<void> {
    await createOwned(db)
    await moveOwned(db)
    await indexSessions(db)
    await changeRules(db)
    await changeHolds(db)
    await addBooked(db)
    await changeWarnings(db)
  },
}

async function createOwned(db: AnyDb): Promise<void> {
  await db.schema
    .createTable('session_limits')
    .addColumn('session', 'text', (c) => c.notNull().references('sessions.id').onDelete('cascade'))
    .addColumn('requested_by', 'text', (c) => c.notNull())
    .addColumn('ending_id', 'text', (c) => c.notNull())
    .addColumn('room', 'text', (c) => c.notNull())
    .addColumn('due_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('session_limits_pk', ['session', 'requested_by'])
    .execute()
  await db.schema
    .createTable('session_holds')
    .addColumn('session', 'text', (c) => c.notNull().references('sessions.id').onDelete('cascade'))
    .addColumn('requested_by', 'text', (c) => c.notNull())
    .addColumn('hold_id', 'text', (c) => c.notNull())
    .addColumn('ending_id', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('session_holds_pk', ['session', 'requested_by'])
    .execute()
  await sql`create index session_holds_hold on session_holds (hold_id)`.execute(db)
}

const ROWS_AT_ONCE = 500

/** What a session knew of one ending is known of the party whose ending that is. An ending that is forgotten has none. */
async function moveOwned(db: AnyDb): Promise<void> {
  await sql`insert into session_limits (session, requested_by, ending_id, room, due_at)
    select sessions.id, endings.requested_by, endings.id, sessions.limit_room, sessions.limit_due
    from sessions join endings on endings.id = sessions.limit_ending where sessions.limit_room is not null`.execute(
    db,
  )
  for (let after = ''; ; ) {
    const rows = await db
      .selectFrom('sessions')
      .innerJoin('endings', 'endings.id', 'sessions.hold_ending')
      .select(['sessions.id as session', 'endings.requested_by', 'endings.id as ending_id', 'metadata'])
      .where('sessions.id', '>', after)
      .orderBy('sessions.id')
      .limit(ROWS_AT_ONCE)
      .execute()
    const held = rows.map(({ metadata, ...row }) => ({ ...row, hold_id: JSON.parse(metadata).hold ?? '' }))
    if (held.length > 0) await db.insertInto('session_holds').values(held).execute()
    if (rows.length < ROWS_AT_ONCE) break
    after = rows.at(-1)?.session
  }
  for (const column of ['limit_ending', 'limit_room', 'limit_due', 'hold_ending'])
    await db.schema.alterTable('sessions').dropColumn(column).execute()
}

async function indexSessions(db: AnyDb): Promise<void> {
  await sql`drop index sessions_room`.execute(db)
  for (const column of ['room_id', 'friendly_url', 'external_id'])
    await sql`create index ${sql.raw(`sessions_live_${column}`)} on sessions (${sql.ref(column)}, id) where over_at is null`.execute(
      db,
    )
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

async function changeRules(db: AnyDb): Promise<void> {
  await db.schema.alterTable('time_limits').renameColumn('owner', 'requested_by').execute()
  await addById(db, 'time_limits')
  for (const { room } of await db.selectFrom('time_limits').select('room').execute())
    if (UUID.test(room))
      await db.updateTable('time_limits').set({ by_id: 1 }).where('room', '=', room).execute()
  await sql`create index time_limits_party on time_limits (requested_by)`.execute(db)
  await sql`create index time_limits_named on time_limits (room) where by_id = 0`.execute(db)
  await db.schema
    .createTable('limit_changes')
    .addColumn('room', 'text', (c) => c.primaryKey().notNull())
    .addColumn('after_session', 'text', (c) => c.notNull())
    .addColumn('changed_at', 'bigint', (c) => c.notNull())
    .execute()
}

async function addById(db: AnyDb, table: string): Promise<void> {
  await db.schema
    .alterTable(table)
    .addColumn('by_id', 'integer', (c) => c.notNull().defaultTo(0).check(sql`by_id in (0, 1)`))
    .execute()
}

async function changeHolds(db: AnyDb): Promise<void> {
  await addById(db, 'holds')
  const rooms = await db
    .selectFrom('holds')
    .select('room')
    .distinct()
    .where('room_kind', '=', 'room')
    .execute()
  for (const { room } of rooms)
    if (UUID.test(room))
      await db
        .updateTable('holds')
        .set({ by_id: 1 })
        .where('room_kind', '=', 'room')
        .where('room', '=', room)
        .execute()
  await sql`drop index holds_open`.execute(db)
  const current = {
    holds_room: 'room_kind, room, requested_by, from_at, id, until_at',
    holds_subject: 'requested_by, subject',
    holds_party: 'requested_by, until_at',
    holds_current: 'until_at, id, from_at',
  }
  for (const [name, columns] of Object.entries(current))
    await sql`create index ${sql.raw(name)} on holds (${sql.raw(columns)}) where lifted_at is null`.execute(
      db,
    )
  await sql`create index holds_named on holds (until_at, from_at) where lifted_at is null and by_id = 0`.execute(
    db,
  )
  await sql`create index holds_over on holds (coalesce(lifted_at, until_at))`.execute(db)
}

interface Told<T> {
  value: T
}
interface Booking {
  cancelled?: boolean
  target?: Told<{ room?: string; roomExternalId?: string }>
  startsAt?: Told<number>
  endsAt?: Told<number>
}

async function addBooked(db: AnyDb): Promise<void> {
  for (const column of ['booked_kind', 'booked_room'])
    await db.schema.alterTable('subjects').addColumn(column, 'text').execute()
  for (const column of ['booked_from', 'booked_until'])
    await db.schema.alterTable('subjects').addColumn(column, 'bigint').execute()
  const known = await db
    .selectFrom('subjects')
    .select(['sender', 'subject', 'memory'])
    .where('subject', 'like', 'booking:%')
    .execute()
  for (const { sender, subject, memory } of known) {
    const booked = bookedBy(JSON.parse(memory))
    if (booked)
      await db
        .updateTable('subjects')
        .set(booked)
        .where('sender', '=', sender)
        .where('subject', '=', subject)
        .execute()
  }
  await sql`create index subjects_booked on subjects (sender, booked_kind, booked_room, booked_until) where booked_until is not null`.execute(
    db,
  )
}

function bookedBy(booking: Booking | null) {
  const { room, roomExternalId } = booking?.target?.value ?? {}
  if (!booking?.endsAt || booking.cancelled || (room ?? roomExternalId) === undefined) return undefined
  return {
    booked_kind: room === undefined ? 'external' : 'room',
    booked_room:
      room !== undefined && UUID.test(room.toLowerCase()) ? room.toLowerCase() : (room ?? roomExternalId),
    booked_from: booking.startsAt?.value ?? null,
    booked_until: booking.endsAt.value,
  }
}

/** SQLite cannot change a CHECK, so the table is made anew. */
async function changeWarnings(db: AnyDb): Promise<void> {
  await db.schema
    .createTable('warnings_now')
    .addColumn('ending_id', 'text', (c) => c.notNull().references('endings.id').onDelete('cascade'))
    .addColumn('due_at', 'bigint', (c) => c.notNull())
    .addColumn('minutes', 'integer', (c) => c.notNull())
    .addColumn('told_minutes', 'integer', (c) => c.notNull())
    .addColumn('marked_at', 'bigint', (c) => c.notNull())
    .addColumn('sent_at', 'bigint')
    .addColumn('result', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('warnings_now_pk', ['ending_id', 'due_at', 'minutes'])
    .addCheckConstraint(
      'warnings_now_result',
      sql`result in ('begun', 'sent', 'nobody_there', 'superseded', 'too_soon', 'failed')`,
    )
    .addCheckConstraint('warnings_now_sent', sql`(result = 'sent') = (sent_at is not null)`)
    .execute()
  const columns = sql.raw('ending_id, due_at, minutes, told_minutes, marked_at, sent_at, result')
  await sql`insert into warnings_now (${columns}) select ${columns} from warnings`.execute(db)
  await db.schema.dropTable('warnings').execute()
  await db.schema.alterTable('warnings_now').renameTo('warnings').execute()
  await db.schema
    .createTable('warned_rooms')
    .addColumn('room', 'text', (c) => c.primaryKey().notNull())
    .addColumn('warned_at', 'bigint', (c) => c.notNull())
    .addColumn('told', 'text', (c) => c.notNull())
    .execute()
  await sql`create index warned_rooms_at on warned_rooms (warned_at)`.execute(db)
}
