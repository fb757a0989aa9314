import { type TProperties, Type } from 'typebox'
import { type Target, Time } from '../ending.ts'
import type { Mistake } from '../problem.ts'
import { formatTime, oneYearAfter, parseTime } from '../time.ts'
import type { Booked, Change } from './change.ts'
import type { AnyHandler, Event, Handler, Setting } from './handler.ts'
import { type TargetFields, targetFields, targetMistakes, targetOf } from './target.ts'

const BookingId = Type.String({
  minLength: 1,
  maxLength: 190,
  pattern: '^[^\\p{Cc}\\p{Cs}]+$',
  description: 'a string of 1 to 190 characters, the id of a booking, none of them a control character',
})
const data = <T extends TProperties>(properties: T) =>
  Type.Object(
    { bookingId: BookingId, ...targetFields, ...properties },
    { additionalProperties: false, description: 'an object with bookingId' },
  )

interface BookingData extends TargetFields {
  bookingId: string
  startsAt?: string
  endsAt?: string
}

/** Something that was told, and by what: when that was true (epoch ms), and its precedence at that time. */
type Told<T> = { value: T; time: number; precedence: number }

/** A booking as its events tell it. Each may leave open what another has said. */
interface Booking {
  bookingId: string
  cancelled: boolean
  /** when the newest event arrived */
  at: number
  target?: Told<Target>
  startsAt?: Told<number>
  endsAt?: Told<number>
  event: { source: string; id: string; type: string }
}

const common = {
  subject: ({ bookingId }: BookingData) => `booking:${bookingId}`,
  decide: (booking: Booking, setting: Setting) =>
    booking.cancelled ? cancelled(booking, setting) : scheduled(booking, setting),
  mattersUntil: ({ endsAt }: Booking) => endsAt?.value ?? 0,
  booked: (
    { cancelled, target, startsAt, endsAt }: Booking,
    { bookingGraceMs }: Setting,
  ): Booked | undefined => {
    if (cancelled || !endsAt || !target || target.value.session !== undefined) return undefined
    return { room: target.value, from: startsAt?.value ?? null, until: endsAt.value + bookingGraceMs }
  },
}

const scheduling: Handler<BookingData, Booking> = {
  ...common,
  schema: data({ endsAt: Time, startsAt: Type.Optional(Time) }),
  mistakes: (booking, setting) => [...targetMistakes(booking, ''), ...timeMistakes(booking, setting)],
  learn: (before, event, newest, { now }) => learn(before, event, newest, now, false),
}

/** Its room is what an earlier event has told; where none has, it is known when one comes. */
const rescheduling: Handler<BookingData, Booking> = {
  ...scheduling,
  mistakes: (booking, setting) => [...targetMistakes(booking, '', true), ...timeMistakes(booking, setting)],
}

const cancelling: Handler<BookingData, Booking> = {
  ...common,
  schema: data({ endsAt: Type.Optional(Time), startsAt: Type.Optional(Time) }),
  mistakes: (booking, setting) => [...targetMistakes(booking, '', true), ...timeMistakes(booking, setting)],
  precedence: 1,
  learn: (before, event, newest, { now }) => learn(before, event, newest, now, true),
}

/** Bookings of rooms: their end is the end of what happens in the room. */
export const booking: Record<string, AnyHandler> = {
  'booking.scheduled': scheduling,
  'booking.rescheduled': rescheduling,
  'booking.cancelled': cancelling,
  // The other spelling of the same word.
  'booking.canceled': cancelling,
}

function timeMistakes({ startsAt, endsAt }: BookingData, { now, bookingGraceMs }: Setting): Mistake[] {
  if (endsAt === undefined) return []
  const end = parseTime(endsAt) as number
  if (end + bookingGraceMs > oneYearAfter(now))
    return [{ pointer: '/endsAt', detail: 'must be at most a year ahead' }]
  if (startsAt !== undefined && (parseTime(startsAt) as number) > end)
    return [{ pointer: '/endsAt', detail: 'must not be before startsAt' }]
  return []
}

function learn(
  before: Booking | undefined,
  event: Event<BookingData>,
  newest: boolean,
  now: number,
  isCancelled: boolean,
): Booking {
  const { source, id, type, data } = event
  const by = { time: event.time ?? now, precedence: isCancelled ? 1 : 0 }
  const news = { bookingId: data.bookingId, cancelled: isCancelled, at: now, event: { source, id, type } }
  return {
    ...(newest || !before ? news : before),
    ...later('target', before?.target, targetOf(data), by),
    ...later('startsAt', before?.startsAt, timeOf(data.startsAt), by),
    ...later('endsAt', before?.endsAt, timeOf(data.endsAt), by),
  }
}

type By = Pick<Told<unknown>, 'time' | 'precedence'>

/** What was told last of a field counts, whatever the order in which it arrives. */
function later<K extends string, T>(name: K, known: Told<T> | undefined, value: T | undefined, by: By) {
  const told = value !== undefined && (!known || !isBefore(by, known)) ? { value, ...by } : known
  return (told ? { [name]: told } : {}) as { [name in K]?: Told<T> }
}

function isBefore(one: By, other: By): boolean {
  return one.time === other.time ? one.precedence < other.precedence : one.time < other.time
}

const timeOf = (text: string | undefined) => (text === undefined ? undefined : parseTime(text))

/**
 * Its end is due when it is over, even where that is past: a later meeting in the room is none of its business. The
 * room is opened for it where the same sender's cancelled booking keeps it closed at that time.
 */
function scheduled(booking: Booking, setting: Setting): Change {
  const { target, startsAt, endsAt, at } = booking
  if (!target || !endsAt) return { store: [] }
  const subject = keyOf(booking)
  const dueAt = endsAt.value + setting.bookingGraceMs
  const from = startsAt?.value ?? at
  return {
    store: [ending(booking, setting, target.value, dueAt, 'booking_over')],
    lift: [
      { subject },
      { room: target.value, from, until: Math.max(endsAt.value, from), subjectPrefix: 'booking:' },
    ],
  }
}

/**
 * One that had not begun ends nothing: whatever is live in its room is somebody else's meeting. So is what began after
 * it. Either way its room stays closed for as long as it would have lasted, as far as that is known.
 */
function cancelled(booking: Booking, setting: Setting): Change {
  const { target, startsAt, endsAt, at } = booking
  const subject = keyOf(booking)
  const takenBack = { withdraw: { key: subject }, lift: [{ subject }] }
  if (!target) return { ...takenBack, store: [] }
  if (startsAt && startsAt.value > at) {
    if (!endsAt || target.value.session !== undefined) return { ...takenBack, store: [] }
    const hold = { from: startsAt.value, until: Math.max(endsAt.value, startsAt.value) }
    return {
      ...takenBack,
      store: [],
      close: [{ ...hold, room: target.value, reason: 'booking_cancelled', subject }],
    }
  }
  const dueAt = endsAt ? Math.min(at, endsAt.value + setting.bookingGraceMs) : at
  const hold =
    endsAt && endsAt.value > at && target.value.session === undefined
      ? { from: at, until: endsAt.value }
      : undefined
  return {
    ...takenBack,
    store: [{ ...ending(booking, setting, target.value, dueAt, 'booking_cancelled'), hold }],
  }
}

function ending(booking: Booking, { sender }: Setting, target: Target, dueAt: number, reason: string) {
  const key = keyOf(booking)
  const startsAt = booking.startsAt && formatTime(booking.startsAt.value)
  const metadata = { event: booking.event, ...(startsAt === undefined ? {} : { startsAt }) }
  return { target, dueAt, reason, requestedBy: sender, key, subject: key, urgent: false, metadata }
}

const keyOf = ({ bookingId }: Booking) => `booking:${bookingId}`
