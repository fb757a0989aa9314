import { sql } from 'kysely'
import { bucketOf } from '../../lateness.ts'
import { compiledOnce, engineOf } from '../engine/compiled.ts'
import type { Batched } from '../engine/group-commit.ts'
import { enqueue } from '../notifications/outbox.ts'
import type { AttemptRow, Db, EndingRow, Trx } from '../schema.ts'
import { count, firstLateness, intoStatistics, sourceOf, stepsOf } from '../statistics/counting.ts'
import {
  addCall,
  addFinished,
  addLateness,
  CALL,
  type Counts,
  FINISHED,
  LATE,
  MOST,
  NO_ANSWER,
} from '../statistics/names.ts'
import { ATTEMPT_COLUMNS, attemptRows, type Call, insertAttempt } from './attempts.ts'
import { PENDING } from './conditions.ts'
import { findEnding } from './endings.ts'
import { CONFIRM_AFTER_MS } from './transitions.ts'
import { lockOrder } from './upserts.ts'

/*
 * The one change of a state that is not in transitions.ts: pending or already_ended → ended, by a 2xx. Most endings are over
 * by it, so several are written down together.
 */

/** An ending that was carried out: the last of its end calls answered 2xx. */
export interface Success {
  claimed: EndingRow
  calls: Call[]
  now: number
}

/** What a 2xx may change of an ending; all else is as it was when it was claimed, where `claim` is. */
type Ended = Pick<EndingRow, (typeof ENDED)[number]>
const ENDED = ['id', 'claim', 'attempt', 'confirm_at', 'confirmed_at', 'last_error_at'] as const

/**
 * Writes down what was carried out: the calls always; the ending becomes `ended` whoever holds its claim by now, for a
 * 2xx is true and truer than somebody's "it was over already". But only of what was done: its owner may have put
 * something else in its place since the lease ran out. Answers by id.
 */
export async function recordEnded(trx: Trx, successes: Success[]): Promise<Map<string, Ended>> {
  const rows =
    engineOf(trx) === 'postgres' ? await endInOne(trx, successes) : await endOneByOne(trx, successes)
  return new Map(rows.map((row) => [row.id, row]))
}

interface Done extends Record<string, unknown> {
  id: string
  kind: EndingRow['target_kind']
  target: string
  dueAt: number
  now: number
  confirmAt: number
}

function doneOf({ claimed, now }: Success): Done {
  const { id, target_kind: kind, target_id: target, due_at: dueAt } = claimed
  return { id, kind, target, dueAt, now, confirmAt: now + CONFIRM_AFTER_MS }
}

/** On SQLite a statement is a function call, so there is nothing to be saved. */
async function endOneByOne(trx: Trx, successes: Success[]): Promise<Ended[]> {
  const all: Ended[] = []
  const counts: Counts = new Map()
  for (const { claimed, calls, now } of successes) {
    for (const row of attemptRows(claimed, calls, now))
      if ((await insertAttempt(trx, row)).numAffectedRows === 1n) addCall(counts, row.status)
    const [ended] = (await endOne(trx, doneOf({ claimed, calls, now }))).rows
    if (!ended) continue
    all.push(ended)
    if (wasPending(ended)) addFinished(counts, 'ended')
    const lateness = isFirstTried(ended) ? firstLateness(claimed, calls) : undefined
    if (lateness !== undefined) addLateness(counts, lateness)
  }
  await count(trx, counts, Math.max(...successes.map(({ now }) => now)))
  return all
}

/*
 * Of an ending that a 2xx has just changed. One that was `already_ended` was confirmed with that, and has been counted as
 * finished; one that is pending is never confirmed. endTogether asks the same.
 */
const wasPending = ({ confirmed_at }: Ended) => confirmed_at === null
const isFirstTried = ({ attempt, last_error_at }: Ended) => attempt === 1 && last_error_at === null

const endOne = compiledOnce((db, at: Done) =>
  db
    .updateTable('endings')
    .set((eb) => ({
      state: 'ended',
      outcome: 'ended',
      finished_at: at.now,
      claimed_until: null,
      attempt: eb('attempt', '+', 1),
      confirm_at: sql<number | null>`case when confirmed_at is null then cast(${at.confirmAt} as bigint) end`,
    }))
    .where('id', '=', at.id)
    .where((eb) => eb.or([eb('state', '=', PENDING), eb('outcome', '=', 'already_ended')]))
    .where('target_kind', '=', at.kind)
    .where('target_id', '=', at.target)
    .where((eb) => eb.or([eb('target_kind', '=', sql.lit('session')), eb('due_at', '=', at.dueAt)]))
    .returning(ENDED),
)

/** On PostgreSQL each statement is a round trip, so this is one, and a transaction by itself. */
async function endInOne(trx: Trx, successes: Success[]): Promise<Ended[]> {
  // Two replicas may record the same, and what is recorded may be about to be replaced.
  const byId = [...successes].sort((a, b) => (a.claimed.id < b.claimed.id ? -1 : 1))
  const sorted = lockOrder(byId.map(({ claimed }) => claimed)).map((i) => byId[i] as Success)
  const attempts = sorted.flatMap(({ claimed, calls, now }) => attemptRows(claimed, calls, now))
  const { rows } = await endTogether(trx, {
    attempts: JSON.stringify(attempts),
    done: JSON.stringify(sorted.map(doneOf)),
    late: JSON.stringify(sorted.flatMap(lateOf)),
    source: sourceOf(trx) ?? '',
    ...stepsOf(Math.max(...successes.map(({ now }) => now))),
  })
  return rows
}

function lateOf({ claimed, calls }: Success) {
  const ms = firstLateness(claimed, calls)
  return ms === undefined ? [] : [{ ending: claimed.id, ms, name: LATE + bucketOf(ms) }]
}

interface Together extends Record<string, unknown> {
  attempts: string
  done: string
  late: string
  source: string
  minute: number
  hour: number
}

const endTogether = compiledOnce((_: Db | Trx, at: Together) => {
  const names = Object.keys(ATTEMPT_COLUMNS) as Array<keyof AttemptRow>
  const columns = sql.raw(names.join(', '))
  const types = sql.raw(names.map((column) => `${column} ${ATTEMPT_COLUMNS[column]}`).join(', '))
  const counts = sql`
      select ${sql.lit(`${FINISHED}ended`)} as name, count(*) as count from over where confirmed_at is null having count(*) > 0
      union all select ${sql.lit(CALL)} || coalesce(cast(status as text), ${sql.lit(NO_ANSWER)}), count(*) from made group by status
      union all select name, count(*) from late group by name
      union all select ${sql.lit(MOST)}, max(ms) from late having count(*) > 0`
  return sql<Ended>`with made as (
      insert into attempts (${columns})
      select ${columns} from jsonb_to_recordset(cast(${at.attempts} as jsonb)) as made (${types})
      on conflict (id) do nothing
      returning status),
    over as (update endings set state = 'ended', outcome = 'ended', finished_at = done.now, claimed_until = null,
      attempt = endings.attempt + 1,
      confirm_at = case when endings.confirmed_at is null then done."confirmAt" end
    from jsonb_to_recordset(cast(${at.done} as jsonb))
      as done (id text, kind text, target text, "dueAt" bigint, now bigint, "confirmAt" bigint)
    where endings.id = done.id and (endings.state = ${PENDING} or endings.outcome = 'already_ended')
      and endings.target_kind = done.kind and endings.target_id = done.target
      and (endings.target_kind = 'session' or endings.due_at = done."dueAt")
    returning ${sql.join(ENDED.map((column) => sql.ref(`endings.${column}`)))}),
    late as (select given.name, given.ms
      from jsonb_to_recordset(cast(${at.late} as jsonb)) as given (ending text, ms bigint, name text)
      join over on over.id = given.ending where over.attempt = 1 and over.last_error_at is null),
    counted as (${intoStatistics(at, counts, 'postgres')})
    select * from over`
})

/**
 * See `recordEnded`. Answers with the ending as it then is, undefined where the report came too late to change it.
 * `isTold`: whether a caller is told what becomes of its endings.
 */
export function successes(isTold: (caller: string) => boolean): Batched<Success, EndingRow | undefined> {
  return {
    run: async (trx, all) => {
      const changed = await recordEnded(trx, all)
      const answers: Array<EndingRow | undefined> = []
      for (const { claimed, now } of all) {
        const after = changed.get(claimed.id)
        // Somebody else has had it meanwhile, and may have changed more than this.
        if (after && after.claim !== claimed.claim) answers.push(await findEnding(trx, claimed.id))
        else answers.push(after && { ...claimed, ...OVER, ...after, finished_at: now })
      }
      const told = answers.filter((ending) => ending !== undefined && isTold(ending.requested_by))
      for (const ending of told as EndingRow[])
        await enqueue(trx, [ending], 'ended', ending.finished_at as number)
      return answers
    },
    isOneStatement: (all, engine) =>
      engine === 'postgres' && !all.some(({ claimed }) => isTold(claimed.requested_by)),
    isInternal: true,
    // A power failure before it is on the disk has the same call made once more, which finds the session over.
    isVolatile: true,
  }
}

const OVER = { state: 'ended', outcome: 'ended', claimed_until: null } as const
