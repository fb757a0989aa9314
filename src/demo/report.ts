import type { Ending } from '../routes/ending-schemas.ts'
import type { DemoCurfew } from './curfew.ts'

export type Say = (line: string) => void

/** Lines as things happen, with the seconds since the start before them. */
export function narrator(now: () => number): Say {
  const began = now()
  return (line) => process.stdout.write(`+${((now() - began) / 1000).toFixed(3).padStart(6)}s  ${line}\n`)
}

/** The ledger as a table: who asked, for what, why, what came of it, after how many calls, how late the first was. */
export async function printLedger(curfew: DemoCurfew): Promise<Ending[]> {
  const { data } = await curfew.get<{ data: Ending[] }>('/v1/endings?limit=200')
  const endings: Ending[] = []
  for (const { id } of data.reverse()) endings.push(await curfew.get<Ending>(`/v1/endings/${id}`))
  const rows = [['asked by', 'target', 'why', 'state', 'how', 'calls', 'late'], ...endings.map(rowOf)]
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  process.stdout.write('\nThe ledger:\n')
  for (const row of rows)
    process.stdout.write(`  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}\n`)
  return endings
}

// A UUID's first eight digits are enough to tell one from another in this table.
const UUID_TAIL = /(?<=^[\da-f]{8})-[\da-f-]{27}$/

function rowOf({
  requestedBy,
  target,
  reason,
  state,
  outcome,
  failure,
  attempts = [],
  dueAt,
}: Ending): string[] {
  const first = attempts[0]
  const late = first ? `${Date.parse(first.startedAt) - Date.parse(dueAt)} ms` : '-'
  const on = (target.session ?? target.room ?? target.roomExternalId ?? '').replace(UUID_TAIL, '')
  return [requestedBy, on, reason, state, outcome ?? failure ?? '', String(attempts.length), late]
}
