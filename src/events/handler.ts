import type { TSchema } from 'typebox'
import type { Mistake } from '../problem.ts'
import type { Booked, Change } from './change.ts'

/** What a handler may know beside the event. Times are epoch ms, durations ms. */
export interface Setting {
  /** whose event it is, and whose endings it makes */
  sender: string
  /** when it arrived */
  now: number
  bookingGraceMs: number
  maxTargets: number
}

/** An event whose envelope is in order. `time` is epoch ms; undefined where its arrival counts. */
export interface Event<D = unknown> {
  source: string
  id: string
  type: string
  time: number | undefined
  /** its W3C trace context; undefined where it brings none of its own */
  traceparent?: string | undefined
  data: D
}

/**
 * What an event of one type means. All of it is pure: an event and what is known of its subject go in, instructions
 * come out.
 *
 * `D` is the event's data, `M` what is remembered of its subject (JSON), for example of a booking.
 */
export interface Handler<D, M> {
  /** of the data; a function where it depends on how many targets an event may name */
  schema: TSchema | ((maxTargets: number) => TSchema)
  /** how many targets the data names; absent: one */
  targets?(data: D): number
  /** What no schema can say; pointers begin within the data (`/endsAt`). */
  mistakes?(data: D, setting: Setting): Mistake[]
  /** What the event is about. Events about the same have an order; where this is absent, they have none. */
  subject?(data: D): string
  /** Of two events about the same at the same time, the one with the higher precedence wins. */
  precedence?: number
  /**
   * What is known of the subject now. `newest` says that no later event about it has come before this one; where one
   * has, only what that one left open can be learnt.
   */
  learn(before: M | undefined, event: Event<D>, newest: boolean, setting: Setting): M
  /** What follows from that. */
  decide(memory: M, setting: Setting): Change
  /** Until when (epoch ms) the memory matters; it is kept for RETENTION_DAYS beyond. */
  mattersUntil?(memory: M): number
  /** The room that is booked by it. */
  booked?(memory: M, setting: Setting): Booked | undefined
}

// biome-ignore lint/suspicious/noExplicitAny: each handler knows its own data and memory, and the registry none
export type AnyHandler = Handler<any, any>
