import { randomUUID } from 'node:crypto'
import type { Instruction } from '../../src/ending.ts'
import type { Call } from '../../src/storage/endings/attempts.ts'
import { newId } from '../../src/storage/engine/ids.ts'
import type { Answer, Ledger } from '../../src/storage/ledger.ts'
import type { EndingRow } from '../../src/storage/schema.ts'

/** What `booking` may want: the end of some session, due at the beginning of time. */
export function instruction(more: Partial<Instruction> = {}): Instruction {
  return {
    target: { session: randomUUID() },
    dueAt: 0,
    reason: 'requested',
    requestedBy: 'booking',
    key: null,
    subject: null,
    urgent: false,
    metadata: {},
    ...more,
  }
}

/** The ending that an answer has to have. */
export function stored(answer: Answer): EndingRow {
  if ('ending' in answer) return answer.ending
  throw new Error(`not stored: ${answer.obstacle}`)
}

export async function put(ledger: Ledger, more: Partial<Instruction> = {}): Promise<EndingRow> {
  return stored(await ledger.store(instruction(more)))
}

export async function claimOne(ledger: Ledger, leaseMs = 60_000): Promise<EndingRow> {
  const [row] = await ledger.claim(1, leaseMs)
  if (!row) throw new Error('nothing to claim')
  return row
}

export function endCall(result: Call['result'], more: Partial<Call> = {}): Call {
  const status = result === 'ended' ? 200 : 503
  return {
    id: newId(1),
    session: 's',
    started_at: 1,
    duration_ms: 5,
    status,
    result,
    error: null,
    ...more,
  }
}

export const BOOKING = { name: 'booking', operator: false }
