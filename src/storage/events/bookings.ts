import { type Target, targetColumns } from '../../ending.ts'
import type { Subject } from '../../events/fold.ts'
import { PENDING } from '../endings/conditions.ts'
import type { Trx } from '../schema.ts'
import type { Closure } from '../time-limits/closures.ts'

/**
 * What a sender's events have booked: by this transaction, as its events say; by those before it, for as long as the
 * booking's ending is pending, since whoever moves that or takes it back means the booking.
 */
export class Bookings {
  readonly #trx: Trx
  readonly #sender: string
  readonly #subjects: Map<string, Subject>
  /** those that events of this transaction are about, as far as they have been applied */
  readonly #applied = new Set<string>()
  readonly #byRoom = new Map<string, Set<string>>()

  constructor(trx: Trx, sender: string, subjects: Map<string, Subject>) {
    this.#trx = trx
    this.#sender = sender
    this.#subjects = subjects
  }

  subject(name: string): Subject | undefined {
    return this.#subjects.get(name)
  }

  set(name: string, subject: Subject): void {
    this.#subjects.set(name, subject)
    this.#applied.add(name)
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
      .selectFrom('endings')
      .innerJoin('subjects', (join) =>
        join
          .onRef('subjects.sender', '=', 'endings.requested_by')
          .onRef('subjects.subject', '=', 'endings.subject'),
      )
      .select('subjects.subject')
      .where('endings.state', '=', PENDING)
      .where('endings.target_kind', '=', target_kind)
      .where('endings.target_id', '=', target_id)
      .where('endings.requested_by', '=', this.#sender)
      .where('endings.due_at', '>', from)
      .where('subjects.booked_until', 'is not', null)
      // One more than could be of this transaction.
      .limit(this.#applied.size + 1)
    if (until !== null)
      before = before.where((eb) => eb.or([eb('booked_from', 'is', null), eb('booked_from', '<', until)]))
    const found = await before.execute()
    return found.some(({ subject }) => !this.#applied.has(subject))
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
