import { type Target, targetColumns } from '../ending.ts'
import type { Closure } from './closures.ts'
import type { Trx } from './schema.ts'
import type { Subject } from './subjects.ts'

/** What a sender's events have booked: in this transaction, where a subject is at hand, and else before it. */
export class Bookings {
  readonly #trx: Trx
  readonly #sender: string
  readonly #subjects: Map<string, Subject>
  readonly #byRoom = new Map<string, Set<string>>()

  constructor(trx: Trx, sender: string, subjects: Map<string, Subject>) {
    this.#trx = trx
    this.#sender = sender
    this.#subjects = subjects
    for (const [name, subject] of subjects) this.#note(name, subject)
  }

  subject(name: string): Subject | undefined {
    return this.#subjects.get(name)
  }

  set(name: string, subject: Subject): void {
    this.#subjects.set(name, subject)
    this.#note(name, subject)
  }

  /** Whether the room is booked for a time that meets the one for which it is to be closed. */
  async has({ room, from, until }: Closure): Promise<boolean> {
    for (const name of this.#byRoom.get(nameOf(room)) ?? []) {
      const booked = this.#subjects.get(name)?.booked
      if (!booked || nameOf(booked.room) !== nameOf(room) || booked.until <= from) continue
      if (until === null || booked.from === null || booked.from < until) return true
    }
    const { target_kind, target_id } = targetColumns(room)
    let before = this.#trx
      .selectFrom('subjects')
      .select('subject')
      .where('sender', '=', this.#sender)
      .where('booked_kind', '=', target_kind as 'room' | 'external')
      .where('booked_room', '=', target_id)
      .where('booked_until', '>', from)
      // One more than could be at hand.
      .limit(this.#subjects.size + 1)
    if (until !== null)
      before = before.where((eb) => eb.or([eb('booked_from', 'is', null), eb('booked_from', '<', until)]))
    const found = await before.execute()
    return found.some(({ subject }) => !this.#subjects.has(subject))
  }

  #note(name: string, { booked }: Subject): void {
    if (!booked) return
    const names = this.#byRoom.get(nameOf(booked.room)) ?? new Set()
    this.#byRoom.set(nameOf(booked.room), names.add(name))
  }
}

function nameOf(room: Target): string {
  const { target_kind, target_id } = targetColumns(room)
  return `${target_kind} ${target_id}`
}
