import fc from 'fast-check'
import type { KnownEvent } from '../../src/events/fold.ts'
import { translate } from '../../src/events/index.ts'

/** The clock of every history stands still at this instant. */
export const NOW = Date.parse('2026-11-23T12:00:00Z')
const MINUTE = 60_000

/** One event of a history, before it is told in CloudEvents' words; `time` is epoch ms. */
export interface Told {
  id: string
  type: string
  time: number
  data: Record<string, unknown>
}
type Untimed = Pick<Told, 'type' | 'data'> & {
  /** At the same time as the one before it, where it would win over that. */
  tied: boolean
}

const iso = (minutes: number) => new Date(NOW + minutes * MINUTE).toISOString()
const id = (n: number) => `edb7a1cb-0627-44ed-9ae4-${String(n).padStart(12, '0')}`
const target = fc.oneof(
  fc.nat(2).map((n) => ({ sessionId: id(n) })),
  fc.nat(2).map((n) => ({ roomId: `room-${n}` })),
  fc.nat(2).map((n) => ({ roomExternalId: `external ${n}` })),
)
const prefix = fc.constantFrom('', '', 'com.example.')
const tied = fc.boolean()
// Over, running and still ahead, by minutes and by seconds.
const span = fc
  .tuple(fc.constantFrom(-120, -60, -1, 0, 1, 60), fc.constantFrom(0, 30, 90, 300))
  .map(([start, length]) => ({ startsAt: iso(start), endsAt: iso(start + length) }))
const someOf = <T extends object>(whole: fc.Arbitrary<T>, names: Array<keyof T>) =>
  fc.tuple(whole, fc.subarray(names)).map(([all, kept]) => Object.fromEntries(kept.map((n) => [n, all[n]])))

const bookingEvent: fc.Arbitrary<Untimed> = fc.oneof(
  fc
    .tuple(prefix, fc.constantFrom('scheduled', 'rescheduled'), target, span, fc.boolean())
    .map(([before, name, where, { startsAt, endsAt }, startIsTold]) => ({
      type: `${before}booking.${name}`,
      data: { ...where, endsAt, ...(startIsTold ? { startsAt } : {}) },
      tied: false,
    })),
  fc
    .tuple(prefix, fc.option(target), someOf(span, ['startsAt', 'endsAt']), tied)
    .map(([before, where, when, isTied]) => ({
      type: `${before}booking.cancelled`,
      data: { ...where, ...when },
      tied: isTied,
    })),
)

const billingEvent: fc.Arbitrary<Untimed> = fc.oneof(
  fc
    .tuple(prefix, fc.array(target, { minLength: 1, maxLength: 3 }), fc.constantFrom(null, 0, 90, 3600), tied)
    .map(([before, targets, grace, isTied]) => ({
      type: `${before}billing.suspended`,
      data: { targets, ...(grace === null ? {} : { graceSeconds: grace }) },
      tied: isTied,
    })),
  prefix.map((before) => ({ type: `${before}billing.resumed`, data: {}, tied: false })),
)

/** Of two events of the same time these win. */
const wins = ({ type }: { type: string }) => /\.(cancelled|suspended)$/.test(type)

/** Whether something cancelled at the time of another event may tell other fields than that. */
export type Ties = 'silent' | 'telling'

/** In the order in which it happened: a minute after each other, some in the future as far as clocks may differ. */
function timed(events: Untimed[], name: string, about: Record<string, string>, ties: Ties): Told[] {
  const told: Told[] = []
  let time = NOW - 4 * MINUTE
  for (const [i, event] of events.entries()) {
    const before = told.at(-1)
    const isTie = event.tied && before !== undefined && wins(event) && !wins(before)
    if (!isTie) time += MINUTE
    const isSilent = isTie && ties === 'silent' && event.type.endsWith('cancelled')
    const data = { ...about, ...(isSilent ? {} : event.data) }
    told.push({ id: `${name} ${i}`, type: event.type, time, data })
  }
  return told
}

/** What one sender has to tell of two bookings and an account, each in its order. */
function histories(ties: Ties): fc.Arbitrary<Told[]> {
  const of = (event: fc.Arbitrary<Untimed>, name: string, about: Record<string, string>) =>
    fc.array(event, { maxLength: 4 }).map((events) => timed(events, name, about, ties))
  return fc
    .tuple(
      of(bookingEvent, 'one', { bookingId: '1' }),
      of(bookingEvent, 'two', { bookingId: '2' }),
      of(billingEvent, 'three', { account: '1' }),
    )
    .map((all) => all.flat())
}

/** A history, and how it arrives: each event one to three times, in any order, in any batches. */
export interface Delivery {
  ordered: Told[]
  batches: Told[][]
}

export function deliveries(ties: Ties): fc.Arbitrary<Delivery> {
  return histories(ties).chain((ordered) => {
    const repeats = fc.array(fc.nat(2), { minLength: ordered.length, maxLength: ordered.length })
    const all = repeats.map((counts) =>
      ordered.flatMap((event, i) => Array(1 + (counts[i] ?? 0)).fill(event)),
    )
    const shuffled = all.chain((list) =>
      fc.shuffledSubarray(list, { minLength: list.length, maxLength: list.length }),
    )
    const cuts = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 2 })
    return fc.tuple(shuffled, cuts).map(([list, sizes]) => ({ ordered, batches: cut(list as Told[], sizes) }))
  })
}

function cut(list: Told[], sizes: number[]): Told[][] {
  const batches: Told[][] = []
  let from = 0
  for (const size of [...sizes, list.length]) {
    if (from >= list.length) break
    batches.push(list.slice(from, from + size))
    from += size
  }
  return batches
}

/** The same events, as the ledger takes them. */
export function knownEvents(events: Told[], sender: string, bookingGraceMs: number): KnownEvent[] {
  const setting = { sender, now: NOW, bookingGraceMs, maxTargets: 200 }
  return events.map(({ id, type, time, data }) => {
    const envelope = {
      specversion: '1.0',
      source: '/history',
      id,
      type,
      time: new Date(time).toISOString(),
      data,
    }
    const translation = translate(envelope, setting)
    if (translation.kind !== 'known') throw new Error(`${type}: ${JSON.stringify(translation)}`)
    return translation.event
  })
}
