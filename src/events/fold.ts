import type { Booked, Change } from './change.ts'
import type { Event, Setting } from './handler.ts'
import { handlerOf } from './registry.ts'

/** An event of a known type: what it is about, and where it stands in the order of the events about that. */
export interface KnownEvent extends Event {
  /** undefined where events of this type have no order */
  subject: string | undefined
  /** Of two events of the same time the one with the higher precedence wins. */
  precedence: number
  setting: Setting
}

/** What is known of a subject, and how new that is (epoch ms). Nothing is known of one that no event was about. */
export interface Subject {
  time: number
  precedence: number
  /** whether the newest event said its time itself */
  timed: boolean
  memory: unknown
  mattersUntil: number
  booked: Booked | undefined
}

/**
 * What an event changes, and what is known after it: no change where it came too late. One that came late may still tell
 * what the newer ones left open, a booking's room for example: then what follows from those is done now.
 */
export function foldEvent(
  event: KnownEvent,
  known: Subject | undefined,
): { change: Change | undefined; subject?: Subject } {
  const { setting } = event
  const handler = handlerOf(event.type)
  if (!handler) throw new TypeError(`no handler knows ${event.type}`)
  if (!known) return { change: handler.decide(handler.learn(undefined, event, true, setting), setting) }
  const newest = isNewer(event, known)
  const memory = handler.learn(known.memory ?? undefined, event, newest, setting)
  const change = handler.decide(memory, setting)
  const isChange = newest || JSON.stringify(change) !== JSON.stringify(handler.decide(known.memory, setting))
  const order = newest
    ? { time: timeOf(event), precedence: event.precedence, timed: event.time !== undefined }
    : { time: known.time, precedence: known.precedence, timed: known.timed }
  const mattersUntil = Math.max(setting.now, handler.mattersUntil?.(memory) ?? 0)
  const subject = { ...order, memory, mattersUntil, booked: handler.booked?.(memory, setting) }
  return { change: isChange ? change : undefined, subject }
}

/** Where neither says its time, their arrival is their order. */
function isNewer(event: KnownEvent, known: Subject): boolean {
  if (event.time === undefined && !known.timed) return true
  const at = timeOf(event)
  return at === known.time ? event.precedence >= known.precedence : at > known.time
}

const timeOf = ({ time, setting }: KnownEvent) => time ?? setting.now
