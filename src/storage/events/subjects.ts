import { type TargetKind, targetColumns, targetOf } from '../../ending.ts'
import type { Booked } from '../../events/change.ts'
import type { Subject } from '../../events/fold.ts'
import { inPieces } from '../../turns.ts'
import type { Engine, SubjectsTable, Trx } from '../schema.ts'

// Before any event there could be.
const NOTHING_YET = {
  time: Number.MIN_SAFE_INTEGER,
  precedence: -1,
  timed: 1,
  memory: 'null',
  matters_until: 0,
  ...booking(undefined),
}

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
  for await (const some of inPieces(sorted)) {
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
  for await (const some of inPieces([...subjects])) {
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
          booked_kind: eb.ref('excluded.booked_kind'),
          booked_room: eb.ref('excluded.booked_room'),
          booked_from: eb.ref('excluded.booked_from'),
          booked_until: eb.ref('excluded.booked_until'),
        })),
      )
      .execute()
  }
}

function fromRow({ time, precedence, timed, memory, matters_until, ...row }: SubjectsTable): Subject {
  const booked =
    row.booked_kind === null
      ? undefined
      : {
          room: targetOf(row.booked_kind, row.booked_room as string),
          from: row.booked_from,
          until: row.booked_until as number,
        }
  return {
    time,
    precedence,
    timed: timed === 1,
    memory: JSON.parse(memory),
    mattersUntil: matters_until,
    booked,
  }
}

function booking(booked: Booked | undefined) {
  if (!booked) return { booked_kind: null, booked_room: null, booked_from: null, booked_until: null }
  const { target_kind, target_id } = targetColumns(booked.room)
  return {
    booked_kind: target_kind as Exclude<TargetKind, 'session'>,
    booked_room: target_id,
    booked_from: booked.from,
    booked_until: booked.until,
  }
}

function toRow(sender: string, name: string, subject: Subject): SubjectsTable {
  const { time, precedence, timed, memory, mattersUntil, booked } = subject
  return {
    sender,
    subject: name,
    time,
    precedence,
    timed: timed ? 1 : 0,
    memory: JSON.stringify(memory),
    matters_until: mattersUntil,
    ...booking(booked),
  }
}
