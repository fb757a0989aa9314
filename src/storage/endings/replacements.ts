import { sql } from 'kysely'
import { targetOf } from '../../ending.ts'
import { formatTime } from '../../time.ts'
import { engineOf } from '../engine/compiled.ts'
import type { Db, EndingRow, Trx } from '../schema.ts'
import { type ChangeNote, noteChanges } from './change-log.ts'

/**
 * What became of an instruction: `in-progress` where the pending one with its key is being carried out just now.
 * `takenBack` are endings that only the hold of the replaced one has asked for.
 */
export type Stored =
  | { ending: EndingRow; replaced: boolean; takenBack?: EndingRow[] }
  | { obstacle: 'in-progress' }

/** What a replacement may change of an ending. */
const REPLACED = [
  'target_kind',
  'target_id',
  'reason',
  'subject',
  'urgent',
  'due_at',
  'metadata',
  'warn_minutes',
] as const
type Replaced = Pick<EndingRow, (typeof REPLACED)[number]>

/** What the ending asked for before this statement, as JSON. */
export function previousOf(db: Db | Trx) {
  const pairs = sql.raw(REPLACED.map((column) => `'${column}', endings.${column}`).join(', '))
  return engineOf(db) === 'sqlite'
    ? sql<string>`json_object(${pairs})`
    : sql<string>`json_build_object(${pairs})::text`
}

/** Writes down what was replaced by what. Where one was replaced several times, the last time counts. */
export async function noteReplaced(trx: Trx, answers: Stored[], now: number): Promise<void> {
  const notes = new Map<string, ChangeNote>()
  for (const answer of answers)
    if ('ending' in answer && answer.replaced) {
      const { ending } = answer
      const before = JSON.parse(ending.previous as string) as Replaced
      notes.set(ending.id, {
        ending,
        by: ending.requested_by,
        change: 'replaced',
        ...difference(before, ending),
      })
    }
  if (notes.size > 0) await noteChanges(trx, [...notes.values()], now)
}

function difference(before: Replaced, after: Replaced): { from: object; to: object } {
  const [from, to] = [viewOf(before), viewOf(after)]
  const differs = Object.keys(to).filter((name) => JSON.stringify(from[name]) !== JSON.stringify(to[name]))
  const only = (view: Record<string, unknown>) =>
    Object.fromEntries(differs.map((name) => [name, view[name]]))
  return { from: only(from), to: only(to) }
}

function viewOf(row: Replaced): Record<string, unknown> {
  return {
    target: targetOf(row.target_kind, row.target_id),
    reason: row.reason,
    subject: row.subject,
    urgent: row.urgent === 1,
    dueAt: formatTime(row.due_at),
    metadata: JSON.parse(row.metadata),
    warnMinutes: row.warn_minutes === null ? null : JSON.parse(row.warn_minutes),
  }
}
