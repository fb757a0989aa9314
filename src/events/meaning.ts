import type { Hold, Instruction, Target } from '../ending.ts'

/** What somebody wants who does not name endings by their ids: first to take some back, then to store others. */
export interface Change {
  /** that party's pending endings with this key, or with this subject */
  withdraw?: { key: string } | { subject: string }
  store: Instruction[]
  /** rooms that are opened again: that party's holds for a subject, or for a room and time */
  lift?: Array<{ subject: string } | { room: Target; from: number; until: number; subjectPrefix: string }>
  /** rooms that are closed though nothing is to be ended now */
  close?: Array<Hold & { room: Target; reason: string; subject: string }>
}

/** What an event means for endings, and where it stands in the order of the events about its subject. */
export interface EventMeaning {
  source: string
  id: string
  type: string
  /** undefined where events of this type have no order */
  subject: string | undefined
  /** epoch ms; undefined where its arrival counts */
  time: number | undefined
  /** Of two events of the same time the one with the higher precedence wins. */
  precedence: number
  /** What is known of the subject after this event; `newest` says that no later one came before it. Pure. */
  learn(before: unknown, newest: boolean): unknown
  /** What follows from what is known. Pure. */
  decide(memory: unknown): Change
  /** Until when (epoch ms) what is known matters. */
  mattersUntil(memory: unknown): number
  /** The room that is booked by what is known. */
  booked(memory: unknown): Booked | undefined
}

/** A room that is booked (epoch ms); one whose start is not known may have begun. */
export interface Booked {
  room: Target
  from: number | null
  until: number
}
