import { sql } from 'kysely'
import { compiledOnce, engineOf } from '../engine/compiled.ts'
import type { Batched } from '../engine/group-commit.ts'
import type { AttemptRow, Db, EndingRow, Trx } from '../schema.ts'
import { attemptRows, type Call } from './claims.ts'
import { CONFIRM_AFTER_MS } from './confirmations.ts'
import { findEnding } from './endings.ts'
import { PENDING } from './pending.ts'

/** An ending that was carried out: the last of its end calls answered 2xx. */
export interface Success {
  claimed: EndingRow
  calls: Call[]
  now: number
}

/**
 * Writes down what was carried out: the calls always; the ending becomes `ended` whoever holds its claim by now, for a
 * 2xx is true and truer than somebody's "it was over already". But only of what was done: its owner may have put
 * something else in its place since the lease ran out. Answers with the ending as it then is, undefined where the report
 * came too late to change it.
 */
export const recordSuccesses: Batched<Success, EndingRow | undefined> = {
  run: async (trx, successes) => {
    const changed =
      engineOf(trx) === 'postgres' ? await inOne(trx, successes) : await oneByOne(trx, successes)
    const answers: Array<EndingRow | undefined> = []
    for (const { claimed, now } of successes) {
      const after = changed.get(claimed.id)
      // Somebody else has had it meanwhile, and may have changed more than this.
      if (after && after.claim !== claimed.claim) answers.push(await findEnding(trx, claimed.id))
      else answers.push(after && { ...claimed, ...OVER, ...after, finished_at: now })
    }
    return answers
  },
  isOneStatement: (_, engine) => engine === 'postgres',
}

const OVER = { state: 'ended', outcome: 'ended', claimed_until: null } as const

type Changed = Pick<EndingRow, 'id' | 'claim' | 'attempt' | 'confirm_at' | 'confirmed_at'>
const RETURNED = sql.raw(
  'endings.id, endings.claim, endings.attempt, endings.confirm_at, endings.confirmed_at',
)

const ATTEMPT_COLUMNS = {
  id: 'text',
  ending_id: 'text',
  attempt: 'integer',
  session: 'text',
  started_at: 'bigint',
  duration_ms: 'integer',
  status: 'integer',
  result: 'text',
  error: 'text',
  confirmed_at: 'bigint',
} as const satisfies Record<keyof AttemptRow, string>
const COLUMNS = Object.keys(ATTEMPT_COLUMNS) as Array<keyof AttemptRow>

const insertAttempt = compiledOnce((db, row: AttemptRow & Record<string, unknown>) =>
  db
    .insertInto('attempts')
    .values(Object.fromEntries(COLUMNS.map((column) => [column, row[column]])) as unknown as AttemptRow)
    .onConflict((conflict) => conflict.column('id').doNothing()),
)

interface Done extends Record<string, unknown> {
  id: string
  kind: EndingRow['target_kind']
  target: string
  dueAt: number
  now: number
  confirmAt: number
}

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
    .returning(['id', 'claim', 'attempt', 'confirm_at', 'confirmed_at']),
)

function doneOf({ claimed, now }: Success): Done {
  const { id, target_kind: kind, target_id: target, due_at: dueAt } = claimed
  return { id, kind, target, dueAt, now, confirmAt: now + CONFIRM_AFTER_MS }
}

/** On SQLite a statement is a function call, so there is nothing to be saved. */
async function oneByOne(trx: Trx, successes: Success[]): Promise<Map<string, Changed>> {
  const changed = new Map<string, Changed>()
  for (const success of successes) {
    for (const row of attemptRows(success.claimed, success.calls, success.now)) await insertAttempt(trx, row)
    const [after] = (await endOne(trx, doneOf(success))).rows
    if (after) changed.set(after.id, after)
  }
  return changed
}

const endTogether = compiledOnce((_: Db | Trx, at: { attempts: string; done: string }) => {
  const columns = sql.raw(COLUMNS.join(', '))
  const types = sql.raw(COLUMNS.map((column) => `${column} ${ATTEMPT_COLUMNS[column]}`).join(', '))
  return sql<Changed>`with made as (
      insert into attempts (${columns})
      select ${columns} from jsonb_to_recordset(cast(${at.attempts} as jsonb)) as made (${types})
      on conflict (id) do nothing)
    update endings set state = 'ended', outcome = 'ended', finished_at = done.now, claimed_until = null,
      attempt = endings.attempt + 1,
      confirm_at = case when endings.confirmed_at is null then done."confirmAt" end
    from jsonb_to_recordset(cast(${at.done} as jsonb))
      as done (id text, kind text, target text, "dueAt" bigint, now bigint, "confirmAt" bigint)
    where endings.id = done.id and (endings.state = ${PENDING} or endings.outcome = 'already_ended')
      and endings.target_kind = done.kind and endings.target_id = done.target
      and (endings.target_kind = 'session' or endings.due_at = done."dueAt")
    returning ${RETURNED}`
})

/** On PostgreSQL each statement is a round trip, so this is one, and a transaction by itself. */
async function inOne(trx: Trx, successes: Success[]): Promise<Map<string, Changed>> {
  // In one order everywhere: two replicas that record the same must not wait for each other.
  const sorted = [...successes].sort((a, b) => (a.claimed.id < b.claimed.id ? -1 : 1))
  const attempts = sorted.flatMap(({ claimed, calls, now }) => attemptRows(claimed, calls, now))
  const { rows } = await endTogether(trx, {
    attempts: JSON.stringify(attempts),
    done: JSON.stringify(sorted.map(doneOf)),
  })
  return new Map(rows.map((row) => [row.id, row]))
}
