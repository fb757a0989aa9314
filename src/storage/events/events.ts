import type { Instruction } from '../../ending.ts'
import { foldEvent, type KnownEvent } from '../../events/fold.ts'
import { inPieces, Turns } from '../../turns.ts'
import { InProgressError } from '../engine/errors.ts'
import type { EndingRow, Engine, EventsTable, Trx } from '../schema.ts'
import { Closures } from '../time-limits/closures.ts'
import { hasHolds } from '../time-limits/holds.ts'
import { Bookings } from './bookings.ts'
import { Changes, type How } from './changes.ts'
import { lockSubjects, saveSubjects } from './subjects.ts'

// Each may be several statements; a turn of them takes some ms.
const EVENTS_A_TURN = 10

/** What became of an event. `changed` are the endings that it made, moved or took back; none for a repeat. */
export interface EventResult {
  status: 'accepted' | 'duplicate' | 'stale'
  /** ids of the endings it made or moved, and of those it took back */
  endings: string[]
  changed: Array<{ ending: EndingRow; how: How }>
}

/**
 * Carries out one sender's events, in their order, in one transaction; results in the same order.
 * @throws InProgressError where it has to be done again, with nothing of it done
 */
export async function applyEvents(
  trx: Trx,
  engine: Engine,
  sender: string,
  events: KnownEvent[],
  now: number,
  warnMinutes: number[] = [],
  claimFor: (instruction: Instruction) => number | null = () => null,
): Promise<EventResult[]> {
  const known = await remembered(trx, sender, events)
  const fresh = firstOfEach(events).filter((event) => !known.has(nameOf(event)))
  const names = fresh.flatMap(({ subject }) => subject ?? [])
  const subjects = await lockSubjects(trx, engine, sender, names)
  const bookings = new Bookings(trx, sender, subjects)
  const closures = new Closures(trx, now, (closure) => bookings.has(closure))
  const holding = await hasHolds(trx, sender, now)
  const changes = new Changes(trx, { sender, now, warnMinutes, holding, closures, claimFor })
  const results = await applyAll(changes, fresh, bookings)
  await saveSubjects(trx, sender, subjects)
  await remember(trx, sender, fresh, results, now)
  return events.map((event) => resultOf(event, results, known))
}

const nameOf = ({ source, id }: { source: string; id: string }) => `${source} ${id}`

function firstOfEach(events: KnownEvent[]): KnownEvent[] {
  const seen = new Map<string, KnownEvent>()
  for (const event of events) if (!seen.has(nameOf(event))) seen.set(nameOf(event), event)
  return [...seen.values()]
}

/** The first of a batch says what it did; every other one with its name is a repeat of it. */
function resultOf(
  event: KnownEvent,
  results: Map<KnownEvent, EventResult>,
  known: Map<string, string[]>,
): EventResult {
  const own = results.get(event)
  if (own) return own
  const first = [...results].find(([other]) => nameOf(other) === nameOf(event))?.[1]
  return { status: 'duplicate', endings: first?.endings ?? known.get(nameOf(event)) ?? [], changed: [] }
}

async function remembered(trx: Trx, sender: string, events: KnownEvent[]): Promise<Map<string, string[]>> {
  const known = new Map<string, string[]>()
  const turns = new Turns(EVENTS_A_TURN)
  // By their source, so that each is found in the table's key, however many events its sender has.
  for (const [source, of] of Map.groupBy(events, (event) => event.source)) {
    await turns.spend()
    for await (const some of inPieces([...new Set(of.map(({ id }) => id))])) {
      const rows = await trx
        .selectFrom('events')
        .select(['source', 'id', 'endings'])
        .where('sender', '=', sender)
        .where('source', '=', source)
        .where('id', 'in', some)
        .execute()
      for (const row of rows) known.set(nameOf(row), JSON.parse(row.endings))
    }
  }
  return known
}

/** The insert decides whether an event is new: where another connection was faster, all of this is undone and done again. */
async function remember(
  trx: Trx,
  sender: string,
  fresh: KnownEvent[],
  results: Map<KnownEvent, EventResult>,
  now: number,
): Promise<void> {
  // In one order everywhere: two replicas with the same events must not wait for each other.
  const sorted = [...fresh].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
  const rows = sorted.map((event): EventsTable => {
    const { status, endings } = results.get(event) as EventResult
    const { source, id, type } = event
    return {
      sender,
      source,
      id,
      type,
      status: status as 'accepted' | 'stale',
      endings: JSON.stringify(endings),
      received_at: now,
    }
  })
  for await (const some of inPieces(rows)) {
    const { numInsertedOrUpdatedRows } = await trx
      .insertInto('events')
      .values(some)
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst()
    if (Number(numInsertedOrUpdatedRows) < some.length)
      throw new InProgressError('the same event is being taken in by another connection')
  }
}

/** Each event in its turn. */
async function applyAll(
  changes: Changes,
  fresh: KnownEvent[],
  bookings: Bookings,
): Promise<Map<KnownEvent, EventResult>> {
  const results = new Map<KnownEvent, EventResult>()
  const turns = new Turns(EVENTS_A_TURN)
  for (const event of fresh) {
    await turns.spend()
    const known = event.subject === undefined ? undefined : bookings.subject(event.subject)
    const { change, subject } = foldEvent(event, known)
    if (subject) bookings.set(event.subject as string, subject)
    const result: EventResult = { status: change ? 'accepted' : 'stale', endings: [], changed: [] }
    results.set(event, result)
    if (change)
      await changes.apply(change, {
        traceparent: event.traceparent,
        note: (ending, how) => {
          result.endings.push(ending.id)
          result.changed.push({ ending, how })
        },
      })
  }
  await changes.flush()
  return results
}
