import type { Instruction } from '../ending.ts'
import { DEFAULT, MINUTE_MS, type Rule, type Rules, type SeenSession } from '../time-limits/rules.ts'
import { dueAnew, findEnding } from './endings.ts'
import { activeHolds, holdOn } from './holds.ts'
import { PENDING } from './pending.ts'
import { putEndings } from './puts.ts'
import type { Db, EndingRow, HoldRow, SessionRow, Trx } from './schema.ts'

/** What noticing a session did. */
export interface Noticed {
  ending: EndingRow
  how: 'accepted' | 'moved' | 'cancelled'
}

/**
 * Sessions that are live, as Digital Samba has just told: those that a rule limits get an ending (once; whoever moves
 * or cancels that one is heard), those that begin in a room that is held closed are ended now.
 */
export async function noticeSessions(
  trx: Trx,
  sessions: SeenSession[],
  rules: Rules,
  now: number,
): Promise<Noticed[]> {
  const holds = await activeHolds(trx, now)
  const concerned = sessions.filter((session) => rules.of(session) || holdOn(holds, session))
  if (concerned.length === 0) return []
  await keep(trx, concerned, now)
  const rows = await find(
    trx,
    concerned.map(({ id }) => id),
  )
  const noticed = await startLimits(trx, rows, rules, now)
  for (const row of rows) {
    noticed.push(...(await limit(trx, row, rules.of(namesIn(row)), now)))
    noticed.push(
      ...(await closeOut(trx, row, holdOn(holds, { ...namesIn(row), startedAt: row.started_at }), now)),
    )
  }
  return noticed
}

const SESSIONS_AT_ONCE = 100

/**
 * The rules have changed, that of `room` for one: what they mean for the sessions that are known to be live, some at a
 * time so that nobody waits for all of them. `next` is the `after` of the call that goes on; absent at the end.
 */
export async function applyRules(
  trx: Trx,
  rules: Rules,
  now: number,
  { room, after = '' }: { room?: string | undefined; after?: string | undefined },
): Promise<{ noticed: Noticed[]; next: string | undefined }> {
  const rows = await trx
    .selectFrom('sessions')
    .selectAll()
    .where('over_at', 'is', null)
    .where('id', '>', after)
    .orderBy('id')
    .limit(SESSIONS_AT_ONCE)
    .execute()
  const noticed: Noticed[] = []
  for (const row of rows) {
    const rule = rules.of(namesIn(row))
    noticed.push(...(await limit(trx, row, rule, now, rule?.room === room)))
  }
  return { noticed, next: rows.length === SESSIONS_AT_ONCE ? rows.at(-1)?.id : undefined }
}

export function namesIn({ room_id, friendly_url, external_id }: SessionRow) {
  return { roomId: room_id, friendlyUrl: friendly_url, externalId: external_id }
}

async function keep(trx: Trx, sessions: SeenSession[], now: number): Promise<void> {
  await trx
    .insertInto('sessions')
    .values(
      sessions.map(({ id, roomId, friendlyUrl, externalId, startedAt }) => ({
        id,
        room_id: roomId,
        friendly_url: friendlyUrl,
        external_id: externalId,
        started_at: startedAt,
        seen_at: now,
      })),
    )
    .onConflict((conflict) =>
      conflict.column('id').doUpdateSet((eb) => ({
        seen_at: now,
        room_id: eb.ref('excluded.room_id'),
        friendly_url: eb.ref('excluded.friendly_url'),
        external_id: eb.ref('excluded.external_id'),
      })),
    )
    .execute()
}

function find(db: Db | Trx, ids: string[]): Promise<SessionRow[]> {
  return db.selectFrom('sessions').selectAll().where('id', 'in', ids).orderBy('id').execute()
}

/** Brings the ending of a session's time limit in line with the rule that holds for it now. */
async function limit(
  trx: Trx,
  session: SessionRow,
  rule: Rule | undefined,
  now: number,
  changed = false,
): Promise<Noticed[]> {
  // A list may still show what a webhook has told to be over.
  if (session.over_at !== null) return []
  const dueAt = rule && session.started_at + rule.maxMinutes * MINUTE_MS
  if (session.limit_ending === null)
    return rule ? [await startLimit(trx, session, rule, dueAt as number, now)] : []
  const same = rule && session.limit_room === rule.room && session.limit_due === dueAt
  if (same && !changed) return []
  const before = await pendingUnclaimed(trx, session.limit_ending, now)
  if (!before) {
    const isAnothers = rule && (await isTakenBackByAnother(trx, session.limit_ending, rule))
    return isAnothers ? [await startLimit(trx, session, rule, dueAt as number, now)] : []
  }
  if (rule && before.requested_by === rule.owner) {
    if (same && before.warn_minutes === warnings(rule)) return []
    // Minutes that somebody was given on top stay on top.
    const given = Math.max(before.due_at - (session.limit_due ?? before.due_at), 0)
    await remember(trx, session.id, before.id, rule.room, dueAt as number)
    return [{ ending: await move(trx, before, rule, (dueAt as number) + given, now), how: 'moved' }]
  }
  const cancelled = await takeBack(trx, before, now)
  await remember(trx, session.id, null, null, null)
  const started = rule ? [await startLimit(trx, session, rule, dueAt as number, now)] : []
  return [{ ending: cancelled, how: 'cancelled' }, ...started]
}

/**
 * The sessions that have no ending yet get theirs, all together: where a sweep finds thousands, ends that are due wait
 * for what it writes. `rows` are changed as well.
 */
async function startLimits(trx: Trx, rows: SessionRow[], rules: Rules, now: number): Promise<Noticed[]> {
  const starting = rows.flatMap((session) => {
    const rule = rules.of(namesIn(session))
    if (!rule || session.limit_ending !== null || session.over_at !== null) return []
    return [{ session, rule, dueAt: session.started_at + rule.maxMinutes * MINUTE_MS }]
  })
  const wishes = starting.map(({ session, rule, dueAt }) => limitEnding(session, rule, dueAt))
  const noticed: Noticed[] = []
  for (const [i, answer] of (await putEndings(trx, wishes, now)).entries()) {
    const { session, rule, dueAt } = starting[i] as (typeof starting)[number]
    if (!('ending' in answer)) continue
    Object.assign(session, { limit_ending: answer.ending.id, limit_room: rule.room, limit_due: dueAt })
    noticed.push({ ending: answer.ending, how: 'accepted' })
  }
  if (noticed.length > 0)
    await rememberAll(
      trx,
      starting.map(({ session }) => session),
    )
  return noticed
}

async function rememberAll(trx: Trx, sessions: SessionRow[]): Promise<void> {
  await trx
    .insertInto('sessions')
    .values(sessions)
    .onConflict((conflict) =>
      conflict.column('id').doUpdateSet((eb) => ({
        limit_ending: eb.ref('excluded.limit_ending'),
        limit_room: eb.ref('excluded.limit_room'),
        limit_due: eb.ref('excluded.limit_due'),
      })),
    )
    .execute()
}

/** A party takes back its own ending only: a rule of somebody else that holds by now is not touched by that. */
async function isTakenBackByAnother(trx: Trx, id: string, { owner }: Rule): Promise<boolean> {
  const ending = await findEnding(trx, id)
  return ending?.state === 'cancelled' && ending.requested_by !== owner
}

async function startLimit(
  trx: Trx,
  session: SessionRow,
  rule: Rule,
  dueAt: number,
  now: number,
): Promise<Noticed> {
  const ending = await put(trx, limitEnding(session, rule, dueAt), now)
  await remember(trx, session.id, ending.id, rule.room, dueAt)
  return { ending, how: 'accepted' }
}

const metadataOf = ({ room, maxMinutes }: Pick<Rule, 'room' | 'maxMinutes'>) => ({
  rule: room === DEFAULT ? 'default' : room,
  maxMinutes,
})

const warnings = ({ warnMinutes = [] }: Rule) => (warnMinutes.length > 0 ? JSON.stringify(warnMinutes) : null)

function limitEnding(
  { id }: SessionRow,
  { room, owner, maxMinutes, warnMinutes }: Rule,
  dueAt: number,
): Instruction {
  return {
    target: { session: id },
    dueAt,
    reason: 'time_limit',
    requestedBy: owner,
    key: `limit:${id}`,
    subject: null,
    urgent: false,
    metadata: metadataOf({ room, maxMinutes }),
    warnMinutes,
  }
}

/** A session that began in a room that is held closed. Once: whoever cancels that ending is heard. */
async function closeOut(
  trx: Trx,
  session: SessionRow,
  hold: HoldRow | undefined,
  now: number,
): Promise<Noticed[]> {
  if (!hold || session.hold_ending !== null || session.over_at !== null) return []
  const wish: Instruction = {
    target: { session: session.id },
    dueAt: now,
    reason: 'room_held',
    requestedBy: hold.requested_by,
    key: `held:${session.id}`,
    subject: hold.subject,
    urgent: false,
    metadata: { hold: hold.id, ending: hold.ending_id },
  }
  const ending = await put(trx, wish, now)
  await trx.updateTable('sessions').set({ hold_ending: ending.id }).where('id', '=', session.id).execute()
  return [{ ending, how: 'accepted' }]
}

async function put(trx: Trx, wish: Instruction, now: number): Promise<EndingRow> {
  const [answer] = await putEndings(trx, [wish], now)
  if (answer && 'ending' in answer) return answer.ending
  // Its key is taken by one that is being carried out: without a key it stands beside it.
  const [other] = await putEndings(trx, [{ ...wish, key: null }], now)
  return (other as { ending: EndingRow }).ending
}

async function remember(
  trx: Trx,
  id: string,
  ending: string | null,
  room: string | null,
  due: number | null,
) {
  await trx
    .updateTable('sessions')
    .set({ limit_ending: ending, limit_room: room, limit_due: due })
    .where('id', '=', id)
    .execute()
}

function pendingUnclaimed(trx: Trx, id: string, now: number) {
  return trx
    .selectFrom('endings')
    .selectAll()
    .where('id', '=', id)
    .where('state', '=', PENDING)
    .where((eb) => eb.or([eb('claimed_until', 'is', null), eb('claimed_until', '<=', now)]))
    .executeTakeFirst()
}

function move(trx: Trx, ending: EndingRow, rule: Rule, dueAt: number, now: number): Promise<EndingRow> {
  const anew = { warn_minutes: warnings(rule), metadata: JSON.stringify(metadataOf(rule)) }
  return trx
    .updateTable('endings')
    .set({ ...anew, ...dueAnew(dueAt, anew, now) })
    .where('id', '=', ending.id)
    .where('claim', '=', ending.claim)
    .where('state', '=', PENDING)
    .returningAll()
    .executeTakeFirstOrThrow()
}

function takeBack(trx: Trx, { id, claim }: EndingRow, now: number): Promise<EndingRow> {
  return trx
    .updateTable('endings')
    .set((eb) => ({ state: 'cancelled', finished_at: now, claim: eb('claim', '+', 1), claimed_until: null }))
    .where('id', '=', id)
    .where('claim', '=', claim)
    .where('state', '=', PENDING)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** The sessions known to be live in a room, or the one with that id. */
export function knownSession(db: Db | Trx, id: string): Promise<SessionRow | undefined> {
  return db.selectFrom('sessions').selectAll().where('id', '=', id.toLowerCase()).executeTakeFirst()
}
