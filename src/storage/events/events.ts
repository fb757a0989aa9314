import type { Instruction } from '../../ending.ts'
import type { Change, EventMeaning } from '../../events/meaning.ts'
import { inPieces, Turns } from '../../turns.ts'
import { InProgressError } from '../engine/errors.ts'
import type { EndingRow, Engine, EventsTable, Trx } from '../schema.ts'
import { Closures } from '../time-limits/closures.ts'
import { hasHolds } from '../time-limits/holds.ts'
import { Bookings } from './bookings.ts'
import { Changes, type How } from './changes.ts'
import { isNewer, lockSubjects, saveSubjects } from './subjects.ts'

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
  events: EventMeaning[],
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
  const results = await applyAll(changes, fresh, bookings, now)
  await saveSubjects(trx, sender, subjects)
  await remember(trx, sender, fresh, results, now)
  return events.map((event) => resultOf(event, results, known))
}

const nameOf = ({ source, id }: { source: string; id: string }) => `${source} ${id}`

function firstOfEach(events: EventMeaning[]): EventMeaning[] {
  const seen = new Map<string, EventMeaning>()
  for (const event of events) if (!seen.has(nameOf(event))) seen.set(nameOf(event), event)
  return [...seen.values()]
}

/** The first of a batch says what it did; every other one with its name is a repeat of it. */
function resultOf(
  event: EventMeaning,
  results: Map<EventMeaning, EventResult>,
  known: Map<string, string[]>,
): EventResult {
  const own = results.get(event)
  if (own) return own
  const first = [...results].find(([other]) => nameOf(other) === nameOf(event))?.[1]
  return { status: 'duplicate', endings: first?.endings ?? known.get(nameOf(event)) ?? [], changed: [] }
}

async function remembered(trx: Trx, sender: string, events: EventMeaning[]): Promise<Map<string, string[]>> {
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
  fresh: EventMeaning[],
  results: Map<EventMeaning, EventResult>,
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
  fresh: EventMeaning[],
  bookings: Bookings,
  now: number,
): Promise<Map<EventMeaning, EventResult>> {
  const results = new Map<EventMeaning, EventResult>()
  const turns = new Turns(EVENTS_A_TURN)
  for (const event of fresh) {
    await turns.spend()
    const change = foldEvent(event, bookings, now)
    const result: EventResult = { status: change ? 'accepted' : 'stale', endings: [], changed: [] }
    results.set(event, result)
    if (change)
      await changes.apply(change, (ending, how) => {
        result.endings.push(ending.id)
        result.changed.push({ ending, how })
      })
  }
  await changes.flush()
  return results
}

/**
 * What an event changes; undefined where it came too late to change anything. One that came late may still tell what
 * the newer ones left open, a booking's room for example: then what follows from those is done now.
 */
function foldEvent(event: EventMeaning, bookings: Bookings, now: number): Change | undefined {
  const known = event.subject === undefined ? undefined : bookings.subject(event.subject)
  if (event.subject === undefined || !known) return event.decide(event.learn(undefined, true))
  const newest = isNewer(event, known, now)
  const memory = event.learn(known.memory ?? undefined, newest)
  const change = event.decide(memory)
  const isChange = newest || JSON.stringify(change) !== JSON.stringify(event.decide(known.memory))
  const mattersUntil = Math.max(now, event.mattersUntil(memory))
  const order = newest
    ? { time: event.time ?? now, precedence: event.precedence, timed: event.time !== undefined }
    : { time: known.time, precedence: known.precedence, timed: known.timed }
  bookings.set(event.subject, { ...order, memory, mattersUntil, booked: event.booked(memory) })
  return isChange ? change : undefined
}
