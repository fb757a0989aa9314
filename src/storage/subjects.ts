import type { EventMeaning } from '../ending.ts'
import type { Engine, SubjectsTable, Trx } from './schema.ts'

/** What is known of a subject, and how new that is. Nothing is known of one that no event was about. */
export interface Subject {
  time: number
  precedence: number
  timed: boolean
  memory: unknown
  mattersUntil: number
}

// Before any event there could be.
const NOTHING_YET = {
  time: Number.MIN_SAFE_INTEGER,
  precedence: -1,
  timed: 1,
  memory: 'null',
  matters_until: 0,
}
const ROWS_IN_ONE = 100

/**
 * What is known of these subjects of a sender, each locked until the transaction ends. The row is made before it is
 * locked, so that the first two events about a subject meet as well.
 */
export async function lockSubjects(
  trx: Trx,
  engine: Engine,
  sender: string,
  names: string[],
): Promise<Map<string, Subject>> {
  const found = new Map<string, Subject>()
  // In one order everywhere: two replicas that lock the same subjects must not wait for each other.
  const sorted = [...new Set(names)].sort()
  for (const some of chunks(sorted)) {
    await trx
      .insertInto('subjects')
      .values(some.map((subject) => ({ sender, subject, ...NOTHING_YET })))
      .onConflict((conflict) => conflict.doNothing())
      .execute()
    const rows = await trx
      .selectFrom('subjects')
      .selectAll()
      .where('sender', '=', sender)
      .where('subject', 'in', some)
      .orderBy('subject')
      .$if(engine === 'postgres', (query) => query.forUpdate())
      .execute()
    for (const row of rows) found.set(row.subject, fromRow(row))
  }
  return found
}

export async function saveSubjects(trx: Trx, sender: string, subjects: Map<string, Subject>): Promise<void> {
  for (const some of chunks([...subjects])) {
    await trx
      .insertInto('subjects')
      .values(some.map(([name, subject]) => toRow(sender, name, subject)))
      .onConflict((conflict) =>
        conflict.columns(['sender', 'subject']).doUpdateSet((eb) => ({
          time: eb.ref('excluded.time'),
          precedence: eb.ref('excluded.precedence'),
          timed: eb.ref('excluded.timed'),
          memory: eb.ref('excluded.memory'),
          matters_until: eb.ref('excluded.matters_until'),
        })),
      )
      .execute()
  }
}

/** Whether an event is newer than what is known. Where neither says its time, their arrival is their order. */
export function isNewer({ time, precedence }: EventMeaning, known: Subject, now: number): boolean {
  if (time === undefined && !known.timed) return true
  const at = time ?? now
  return at === known.time ? precedence >= known.precedence : at > known.time
}

function fromRow({ time, precedence, timed, memory, matters_until }: SubjectsTable): Subject {
  return { time, precedence, timed: timed === 1, memory: JSON.parse(memory), mattersUntil: matters_until }
}

function toRow(sender: string, name: string, subject: Subject): SubjectsTable {
  const { time, precedence, timed, memory, mattersUntil } = subject
  return {
    sender,
    subject: name,
    time,
    precedence,
    timed: timed ? 1 : 0,
    memory: JSON.stringify(memory),
    matters_until: mattersUntil,
  }
}

export function chunks<T>(list: T[], size = ROWS_IN_ONE): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size))
}
