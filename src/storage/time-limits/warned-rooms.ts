import { mayWarn, type Told, type Warning } from '../../time-limits/warnings.ts'
import type { EndingRow, Engine, Trx } from '../schema.ts'

/**
 * Which of these rooms (UUIDs) may be told of this now, and marks them, so that whoever asks for what, people are not
 * warned again at once or twice of the same.
 */
export async function roomsToWarn(
  trx: Trx,
  engine: Engine,
  { due_at: dueAt }: EndingRow,
  { minutes }: Warning,
  rooms: string[],
  now: number,
): Promise<string[]> {
  const allowed = new Set<string>()
  // In one order everywhere: two replicas that warn the same rooms must not wait for each other.
  for (const room of [...rooms].sort()) {
    const before = await lock(trx, engine, room)
    const told: Told = { dueAt, minutes }
    if (!mayWarn(before, told, now)) continue
    const still = [...before.told.filter((other) => other.dueAt > now), told]
    await trx
      .updateTable('warned_rooms')
      .set({ warned_at: now, told: JSON.stringify(still) })
      .where('room', '=', room)
      .execute()
    allowed.add(room)
  }
  return rooms.filter((room) => allowed.has(room))
}

// Before any time there could be.
const NEVER = 0

/** The row is made before it is locked, so that the first two meet as well. */
async function lock(trx: Trx, engine: Engine, room: string) {
  await trx
    .insertInto('warned_rooms')
    .values({ room, warned_at: NEVER, told: '[]' })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const row = await trx
    .selectFrom('warned_rooms')
    .selectAll()
    .where('room', '=', room)
    .$if(engine === 'postgres', (query) => query.forUpdate())
    .executeTakeFirstOrThrow()
  return { warnedAt: row.warned_at, told: JSON.parse(row.told) as Told[] }
}
