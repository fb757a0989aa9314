import { DEFAULT, EXTERNAL, type Rules } from '../../time-limits/rules.ts'
import type { Db, Engine, SessionRow, Trx } from '../schema.ts'
import { type Observed, reconcileLimitEndings } from './session-limits.ts'

/** The rule of a room has changed, in this transaction. What that means for sessions is carried through page by page. */
export async function noteChange(trx: Trx, room: string, now: number): Promise<void> {
  const change = { after_session: '', changed_at: now }
  await trx
    .insertInto('limit_changes')
    .values({ room, ...change })
    .onConflict((conflict) => conflict.column('room').doUpdateSet(change))
    .execute()
}

/** Rooms whose rules have changed without every session being in line with that. */
export async function unfinishedChanges(db: Db): Promise<string[]> {
  const rows = await db.selectFrom('limit_changes').select('room').orderBy('changed_at').execute()
  return rows.map(({ room }) => room)
}

const SESSIONS_AT_ONCE = 100

/** Brings the next sessions in line with a change, some at a time so that nobody waits for all of them. */
export async function carryOn(
  trx: Trx,
  engine: Engine,
  room: string,
  rulesFor: (sessions: SessionRow[]) => Promise<Rules>,
  now: number,
): Promise<{ observed: Observed[]; isDone: boolean }> {
  const change = await trx
    .selectFrom('limit_changes')
    .selectAll()
    .where('room', '=', room)
    .$if(engine === 'postgres', (query) => query.forUpdate())
    .executeTakeFirst()
  if (!change) return { observed: [], isDone: true }
  const sessions = await liveIn(trx, room, change.after_session)
  const observed = await reconcileLimitEndings(trx, sessions, await rulesFor(sessions), now, room)
  const last = sessions.length === SESSIONS_AT_ONCE ? sessions.at(-1) : undefined
  if (last)
    await trx.updateTable('limit_changes').set({ after_session: last.id }).where('room', '=', room).execute()
  else await trx.deleteFrom('limit_changes').where('room', '=', room).execute()
  return { observed, isDone: last === undefined }
}

/** The next sessions after one that are known to be live in a room as a rule names it; all rooms, for the default's. */
async function liveIn(trx: Trx, room: string, after: string): Promise<SessionRow[]> {
  const live = trx
    .selectFrom('sessions')
    .selectAll()
    .where('over_at', 'is', null)
    .where('id', '>', after)
    .orderBy('id')
    .limit(SESSIONS_AT_ONCE)
  if (room === DEFAULT) return live.execute()
  if (room.startsWith(EXTERNAL)) return live.where('external_id', '=', room.slice(EXTERNAL.length)).execute()
  const found = [
    await live.where('room_id', '=', room).execute(),
    await live.where('friendly_url', '=', room).execute(),
  ].flat()
  const byId = new Map(found.map((session) => [session.id, session]))
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, SESSIONS_AT_ONCE)
}
