import type { Change, EventMeaning, Instruction } from '../ending.ts'
import { PENDING } from './endings.ts'
import { InProgressError } from './errors.ts'
import { putEndings } from './puts.ts'
import type { EndingRow, Engine, EventsTable, Trx } from './schema.ts'
import { chunks, isNewer, lockSubjects, type Subject, saveSubjects } from './subjects.ts'

/** What became of an event. `changed` are the endings that it made, moved or took back; none for a repeat. */
export interface EventResult {
  status: 'accepted' | 'duplicate' | 'stale'
  /** ids of the endings it made or moved, and of those it took back */
  endings: string[]
  changed: Array<{ ending: EndingRow; how: 'accepted' | 'replaced' | 'cancelled' }>
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
): Promise<EventResult[]> {
  const known = await remembered(trx, sender, events)
  const fresh = firstOfEach(events).filter((event) => !known.has(nameOf(event)))
  const names = fresh.flatMap(({ subject }) => subject ?? [])
  const subjects = await lockSubjects(trx, engine, sender, names)
  const results = await applyAll(trx, sender, fresh, subjects, now)
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
  for (const some of chunks([...new Set(events.map(({ id }) => id))])) {
    const rows = await trx
      .selectFrom('events')
      .select(['source', 'id', 'endings'])
      .where('sender', '=', sender)
      .where('id', 'in', some)
      .execute()
    for (const row of rows) known.set(nameOf(row), JSON.parse(row.endings))
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
  for (const some of chunks(rows)) {
    const { numInsertedOrUpdatedRows } = await trx
      .insertInto('events')
      .values(some)
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst()
    if (Number(numInsertedOrUpdatedRows) < some.length)
      throw new InProgressError('the same event is being taken in by another connection')
  }
}

/** Each event in its turn; what several of them put is put together, up to the next that takes something back. */
async function applyAll(
  trx: Trx,
  sender: string,
  fresh: EventMeaning[],
  subjects: Map<string, Subject>,
  now: number,
): Promise<Map<EventMeaning, EventResult>> {
  const results = new Map<EventMeaning, EventResult>()
  let waiting: Array<{ result: EventResult; wish: Instruction }> = []
  const flush = async () => {
    const stored = await putEndings(
      trx,
      waiting.map(({ wish }) => wish),
      now,
    )
    for (const [i, answer] of stored.entries()) {
      if ('obstacle' in answer) throw new InProgressError('an ending is being carried out')
      note(waiting[i]?.result as EventResult, answer.ending, answer.replaced ? 'replaced' : 'accepted')
    }
    waiting = []
  }
  for (const event of fresh) {
    const change = meet(event, subjects, now)
    const result: EventResult = { status: change ? 'accepted' : 'stale', endings: [], changed: [] }
    results.set(event, result)
    if (change?.withdraw) {
      await flush()
      for (const ending of await withdraw(trx, sender, change.withdraw, now))
        note(result, ending, 'cancelled')
    }
    for (const wish of change?.put ?? []) waiting.push({ result, wish })
  }
  await flush()
  return results
}

function note(result: EventResult, ending: EndingRow, how: 'accepted' | 'replaced' | 'cancelled'): void {
  result.endings.push(ending.id)
  result.changed.push({ ending, how })
}

/**
 * What an event changes; undefined where it came too late to change anything. One that came late may still tell what
 * the newer ones left open, a booking's room for example: then what follows from those is done now.
 */
function meet(event: EventMeaning, subjects: Map<string, Subject>, now: number): Change | undefined {
  const known = event.subject === undefined ? undefined : subjects.get(event.subject)
  if (event.subject === undefined || !known) return event.decide(event.learn(undefined, true))
  const newest = isNewer(event, known, now)
  const memory = event.learn(known.memory ?? undefined, newest)
  const change = event.decide(memory)
  const isChange = newest || JSON.stringify(change) !== JSON.stringify(event.decide(known.memory))
  const mattersUntil = Math.max(now, event.mattersUntil(memory))
  const order = newest
    ? { time: event.time ?? now, precedence: event.precedence, timed: event.time !== undefined }
    : { time: known.time, precedence: known.precedence, timed: known.timed }
  subjects.set(event.subject, { ...order, memory, mattersUntil })
  return isChange ? change : undefined
}

/** Takes back that party's pending endings with that key or subject; all or none. */
async function withdraw(
  trx: Trx,
  sender: string,
  what: { key: string } | { subject: string },
  now: number,
): Promise<EndingRow[]> {
  const [column, value] = 'key' in what ? (['key', what.key] as const) : (['subject', what.subject] as const)
  const rows = await trx
    .updateTable('endings')
    .set((eb) => ({
      state: 'cancelled',
      finished_at: now,
      claim: eb('claim', '+', 1),
      claimed_until: null,
    }))
    .where('state', '=', PENDING)
    .where('requested_by', '=', sender)
    .where(column, '=', value)
    .where((eb) => eb.or([eb('claimed_until', 'is', null), eb('claimed_until', '<=', now)]))
    .returningAll()
    .execute()
  const left = await trx
    .selectFrom('endings')
    .select('id')
    .where('state', '=', PENDING)
    .where('requested_by', '=', sender)
    .where(column, '=', value)
    .executeTakeFirst()
  if (left) throw new InProgressError('an ending is being carried out')
  return rows
}
