import { sql } from 'kysely'
import type { Instruction } from '../../ending.ts'
import { DEFAULT, MINUTE_MS, type Rule, type Rules } from '../../time-limits/rules.ts'
import { CURFEW, noteMoved } from '../endings/change-log.ts'
import { NEVER_AGAIN } from '../endings/confirmations.ts'
import { dueAnew } from '../endings/endings.ts'
import { PENDING, stillWaiting, takeBack } from '../endings/pending.ts'
import { upsertEndings } from '../endings/upserts.ts'
import type { EndingRow, SessionLimitRow, SessionRow, Trx } from '../schema.ts'
import { namesIn } from './session-names.ts'

/** What noticing a session did. */
export interface Observed {
  ending: EndingRow
  how: 'accepted' | 'moved' | 'cancelled'
}

/** One party's rule for a session, and when that is due. */
interface Limit {
  session: SessionRow
  rule: Rule
  dueAt: number
}

/** What one party's rules have made for a session, and what they want now; nothing where none of them names its room. */
interface Made {
  row: SessionLimitRow
  limit: Limit | undefined
}

/**
 * Brings the endings of time limits in line with the rules as they are: one for each party whose rules name a session's
 * room. An ending that was cancelled or is being carried out is left as it is. `changed` names a rule that may say
 * something else though it is due at the same time.
 */
export async function reconcileLimitEndings(
  trx: Trx,
  sessions: SessionRow[],
  rules: Rules,
  now: number,
  changed?: string,
): Promise<Observed[]> {
  // A list may still show what a webhook has told to be over.
  const live = sessions.filter(({ over_at }) => over_at === null)
  const limits = live.flatMap((session) => limitsOf(session, rules))
  const wanted = new Map(limits.map((limit) => [nameOf(limit.session.id, limit.rule.requestedBy), limit]))
  const rows = await rowsOf(trx, live)
  const known = new Set(rows.map((row) => nameOf(row.session, row.requested_by)))
  const made = rows
    .map((row) => ({ row, limit: wanted.get(nameOf(row.session, row.requested_by)) }))
    .filter((one) => mayDiffer(one, changed))
  return [
    ...(await change(trx, made, now)),
    ...(await start(
      trx,
      limits.filter(({ session, rule }) => !known.has(nameOf(session.id, rule.requestedBy))),
      now,
    )),
  ]
}

function limitsOf(session: SessionRow, rules: Rules): Limit[] {
  return rules
    .ofEach(namesIn(session))
    .map((rule) => ({ session, rule, dueAt: session.started_at + rule.maxMinutes * MINUTE_MS }))
}

const nameOf = (session: string, party: string) => `${session} ${party}`

function rowsOf(trx: Trx, sessions: SessionRow[]): Promise<SessionLimitRow[]> {
  if (sessions.length === 0) return Promise.resolve([])
  const ids = sessions.map(({ id }) => id)
  return trx
    .selectFrom('session_limits')
    .selectAll()
    .where('session', 'in', ids)
    .orderBy('session')
    .orderBy('requested_by')
    .execute()
}

function isSame({ row, limit }: Made): boolean {
  return limit !== undefined && row.room === limit.rule.room && row.due_at === limit.dueAt
}

const mayDiffer = (made: Made, changed: string | undefined) => !isSame(made) || made.row.room === changed

async function change(trx: Trx, made: Made[], now: number): Promise<Observed[]> {
  const waiting = await stillWaiting(
    trx,
    made.map(({ row }) => row.ending_id),
    now,
  )
  const gone = made.filter(({ row, limit }) => !limit && waiting.has(row.ending_id))
  const cancelled = await takeBack(
    trx,
    gone.map(({ row }) => row.ending_id),
    CURFEW,
    now,
  )
  const observed: Observed[] = cancelled.map((ending) => ({ ending, how: 'cancelled' }))
  await followUp(
    trx,
    made.filter(({ row }) => !waiting.has(row.ending_id)),
  )
  const taken = new Set(cancelled.map(({ id }) => id))
  for (const one of made) {
    const { row, limit } = one
    if (taken.has(row.ending_id)) await forget(trx, row)
    const before = waiting.get(row.ending_id)
    if (!limit || !before || (isSame(one) && before.warn_minutes === warnings(limit.rule))) continue
    // Minutes that somebody was given on top stay on top.
    const given = Math.max(before.due_at - row.due_at, 0)
    const ending = await move(trx, before, limit.rule, limit.dueAt + given, now)
    if (!ending) continue
    await noteMoved(trx, ending, before, CURFEW, now)
    await remember(trx, [{ ...row, room: limit.rule.room, due_at: limit.dueAt }])
    observed.push({ ending, how: 'moved' })
  }
  return observed
}

/** Of those that were answered 2xx and are not confirmed yet: should their session live on, this is when it is to end. */
async function followUp(trx: Trx, over: Made[]): Promise<void> {
  const changed = over.filter((one) => !isSame(one))
  if (changed.length === 0) return
  const unconfirmed = await trx
    .selectFrom('endings')
    .select('id')
    .where(
      'id',
      'in',
      changed.map(({ row }) => row.ending_id),
    )
    .where('outcome', '=', 'ended')
    .where('confirm_at', 'is not', null)
    .execute()
  const ids = new Set(unconfirmed.map(({ id }) => id))
  for (const { row, limit } of changed) {
    if (!ids.has(row.ending_id)) continue
    const at = sql<number>`cast(${limit?.dueAt ?? NEVER_AGAIN} as bigint)`
    await trx
      .updateTable('endings')
      .set({ next_attempt_at: sql<number>`case when due_at > ${at} then due_at else ${at} end` })
      .where('id', '=', row.ending_id)
      .where('outcome', '=', 'ended')
      .execute()
    if (limit) await remember(trx, [{ ...row, room: limit.rule.room, due_at: limit.dueAt }])
  }
}

/** All together: where a sweep finds thousands, ends that are due wait for what it writes. */
async function start(trx: Trx, limits: Limit[], now: number): Promise<Observed[]> {
  const endings = await upsertAll(trx, limits.map(instruction), now)
  await remember(
    trx,
    limits.map(({ session, rule, dueAt }, i) => ({
      session: session.id,
      requested_by: rule.requestedBy,
      ending_id: (endings[i] as EndingRow).id,
      room: rule.room,
      due_at: dueAt,
    })),
  )
  return endings.map((ending) => ({ ending, how: 'accepted' }))
}

/** One whose key is taken by an ending that is being carried out stands beside it without a key. */
export async function upsertAll(trx: Trx, instructions: Instruction[], now: number): Promise<EndingRow[]> {
  const endings: EndingRow[] = []
  for (const [i, answer] of (await upsertEndings(trx, instructions.map(unclaimed), now)).entries()) {
    if ('ending' in answer) {
      endings.push(answer.ending)
      continue
    }
    const keyless = { ...(instructions[i] as Instruction), key: null }
    const [other] = await upsertEndings(trx, [unclaimed(keyless)], now)
    endings.push((other as { ending: EndingRow }).ending)
  }
  return endings
}

const unclaimed = (instruction: Instruction) => ({ instruction, claimedUntil: null })

const metadataOf = ({ room, maxMinutes }: Rule) => ({ rule: room === DEFAULT ? 'default' : room, maxMinutes })

const warnings = ({ warnMinutes = [] }: Rule) => (warnMinutes.length > 0 ? JSON.stringify(warnMinutes) : null)

function instruction({ session, rule, dueAt }: Limit): Instruction {
  return {
    target: { session: session.id },
    dueAt,
    reason: 'time_limit',
    requestedBy: rule.requestedBy,
    key: `limit:${session.id}`,
    subject: null,
    urgent: false,
    metadata: metadataOf(rule),
    warnMinutes: rule.warnMinutes,
  }
}

function move(trx: Trx, ending: EndingRow, rule: Rule, dueAt: number, now: number) {
  const anew = { warn_minutes: warnings(rule), metadata: JSON.stringify(metadataOf(rule)) }
  return trx
    .updateTable('endings')
    .set({ ...anew, ...dueAnew(dueAt, anew, now) })
    .where('id', '=', ending.id)
    .where('claim', '=', ending.claim)
    .where('state', '=', PENDING)
    .returningAll()
    .executeTakeFirst()
}

async function remember(trx: Trx, rows: SessionLimitRow[]): Promise<void> {
  if (rows.length === 0) return
  await trx
    .insertInto('session_limits')
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(['session', 'requested_by']).doUpdateSet((eb) => ({
        ending_id: eb.ref('excluded.ending_id'),
        room: eb.ref('excluded.room'),
        due_at: eb.ref('excluded.due_at'),
      })),
    )
    .execute()
}

async function forget(trx: Trx, { session, requested_by }: SessionLimitRow): Promise<void> {
  await trx
    .deleteFrom('session_limits')
    .where('session', '=', session)
    .where('requested_by', '=', requested_by)
    .execute()
}
