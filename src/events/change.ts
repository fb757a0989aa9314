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

/** A room that is booked (epoch ms); one whose start is not known may have begun. */
export interface Booked {
  room: Target
  from: number | null
  until: number
}
