import { sql } from 'kysely'
import type { Instruction } from '../../ending.ts'
import {
  compareLimits,
  type Differing,
  decideLimit,
  type EndingSeen,
  type Limit,
  limitInstruction,
  type Made,
} from '../../time-limits/limits.ts'
import type { Rules } from '../../time-limits/rules.ts'
import { dueAnew } from '../endings/asked-anew.ts'
import { CURFEW, noteMoved } from '../endings/change-log.ts'
import { PENDING, stillWaiting } from '../endings/conditions.ts'
import { cancelAmong, NEVER_AGAIN } from '../endings/transitions.ts'
import { upsertEndings } from '../endings/upserts.ts'
import type { EndingRow, SessionLimitRow, SessionRow, Trx } from '../schema.ts'
import { seenIn } from './session-names.ts'

/** What observing a session did. */
export interface Observed {
  ending: EndingRow
  how: 'accepted' | 'moved' | 'cancelled'
}

/** Does what `compareLimits` and `decideLimit` say for these sessions, as the rules are now. */
export async function reconcileLimitEndings(
  trx: Trx,
  sessions: SessionRow[],
  rules: Rules,
  now: number,
  changed?: string,
): Promise<Observed[]> {
  // A list may still show what a webhook has told to be over.
  const live = sessions.filter(({ over_at }) => over_at === null)
  const { differing, missing } = compareLimits(live.map(seenIn), rules, await madeFor(trx, live), changed)
  return [...(await change(trx, differing, now)), ...(await start(trx, missing, now))]
}

async function madeFor(trx: Trx, sessions: SessionRow[]): Promise<Made[]> {
  if (sessions.length === 0) return []
  const ids = sessions.map(({ id }) => id)
  const rows = await trx
    .selectFrom('session_limits')
    .selectAll()
    .where('session', 'in', ids)
    .orderBy('session')
    .orderBy('requested_by')
    .execute()
  return rows.map(({ session, requested_by: requestedBy, ending_id: endingId, room, due_at: dueAt }) => ({
    session,
    requestedBy,
    endingId,
    room,
    dueAt,
  }))
}

async function change(trx: Trx, differing: Differing[], now: number): Promise<Observed[]> {
  const ids = differing.map(({ made }) => made.endingId)
  const waiting = await stillWaiting(trx, ids, now)
  const unconfirmed = await unconfirmedAmong(
    trx,
    ids.filter((id) => !waiting.has(id)),
  )
  const cancelled: Made[] = []
  const moved: Observed[] = []
  for (const { made, limit } of differing) {
    const before = waiting.get(made.endingId)
    const decision = decideLimit({ made, limit }, endingSeen(before, unconfirmed.has(made.endingId)))
    if (decision.do === 'cancel') cancelled.push(made)
    if (decision.do === 'follow up') await followUp(trx, made, decision.limit)
    if (decision.do === 'move' && before) {
      const ending = await move(trx, before, decision.limit, decision.dueAt, now)
      if (!ending) continue
      await remember(trx, [{ limit: decision.limit, endingId: ending.id }])
      moved.push({ ending, how: 'moved' })
    }
  }
  return [...(await cancelAll(trx, cancelled, now)), ...moved]
}

function endingSeen(waiting: EndingRow | undefined, isUnconfirmed: boolean): EndingSeen {
  if (!waiting) return { is: isUnconfirmed ? 'unconfirmed' : 'left' }
  return { is: 'waiting', dueAt: waiting.due_at, warnMinutes: JSON.parse(waiting.warn_minutes ?? '[]') }
}

async function unconfirmedAmong(trx: Trx, ids: string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set()
  const rows = await trx
    .selectFrom('endings')
    .select('id')
    .where('id', 'in', ids)
    .where('outcome', '=', 'ended')
    .where('confirm_at', 'is not', null)
    .execute()
  return new Set(rows.map(({ id }) => id))
}

async function cancelAll(trx: Trx, made: Made[], now: number): Promise<Observed[]> {
  const ids = made.map(({ endingId }) => endingId)
  const endings = await cancelAmong(trx, ids, CURFEW, now)
  const gone = endings.map(({ id }) => id)
  const sessions = made.map(({ session }) => session)
  if (gone.length > 0)
    await trx
      .deleteFrom('session_limits')
      .where('session', 'in', sessions)
      .where('ending_id', 'in', gone)
      .execute()
  return endings.map((ending) => ({ ending, how: 'cancelled' }))
}

/** When an ending that was answered 2xx is to be done again, should its session live on. */
async function followUp(trx: Trx, { endingId }: Made, limit: Limit | undefined): Promise<void> {
  const at = sql<number>`cast(${limit?.dueAt ?? NEVER_AGAIN} as bigint)`
  await trx
    .updateTable('endings')
    .set({ next_attempt_at: sql<number>`case when due_at > ${at} then due_at else ${at} end` })
    .where('id', '=', endingId)
    .where('outcome', '=', 'ended')
    .execute()
  if (limit) await remember(trx, [{ limit, endingId }])
}

/** All together: where a sweep finds thousands, ends that are due wait for what it writes. */
async function start(trx: Trx, limits: Limit[], now: number): Promise<Observed[]> {
  const endings = await upsertAll(trx, limits.map(limitInstruction), now)
  await remember(
    trx,
    limits.map((limit, i) => ({ limit, endingId: (endings[i] as EndingRow).id })),
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

async function move(trx: Trx, before: EndingRow, limit: Limit, dueAt: number, now: number) {
  const { metadata, warnMinutes = [] } = limitInstruction(limit)
  const warn_minutes = warnMinutes.length > 0 ? JSON.stringify(warnMinutes) : null
  const ending = await trx
    .updateTable('endings')
    .set({ warn_minutes, metadata: JSON.stringify(metadata), ...dueAnew(dueAt, { warn_minutes }, now) })
    .where('id', '=', before.id)
    .where('claim', '=', before.claim)
    .where('state', '=', PENDING)
    .returningAll()
    .executeTakeFirst()
  if (ending) await noteMoved(trx, ending, before, CURFEW, now)
  return ending
}

async function remember(trx: Trx, all: Array<{ limit: Limit; endingId: string }>): Promise<void> {
  if (all.length === 0) return
  const rows = all.map(
    ({ limit: { session, rule, dueAt }, endingId }): SessionLimitRow => ({
      session,
      requested_by: rule.requestedBy,
      ending_id: endingId,
      room: rule.room,
      due_at: dueAt,
    }),
  )
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
