import type { Instruction } from '../../ending.ts'
import type { Change } from '../../events/change.ts'
import { PENDING } from '../endings/conditions.ts'
import { type Cancelling, cancel } from '../endings/transitions.ts'
import { type Upsert, upsertEndings } from '../endings/upserts.ts'
import { InProgressError } from '../engine/errors.ts'
import type { EndingRow, Trx } from '../schema.ts'
import type { Closures } from '../time-limits/closures.ts'

export type How = 'accepted' | 'replaced' | 'cancelled'
type Note = (ending: EndingRow, how: How) => void

/** What asks for a change. */
interface Origin {
  /** Told of each ending that the change makes, moves or takes back. */
  note: Note
  /** which trace those belong to from then on */
  traceparent: string | undefined
}

interface Setting {
  sender: string
  now: number
  warnMinutes: number[]
  /** whether the sender keeps any room closed: if not, there is none to open */
  holding: boolean
  closures: Closures
  /** until when (epoch ms) whoever stores this has it for itself; null for nobody */
  claimFor: (instruction: Instruction) => number | null
}

type Withdrawn = { key: string } | { subject: string }

/** Carries out one party's changes in their order; what several of them store is stored together, as long as order allows. */
export class Changes {
  readonly #trx: Trx
  readonly #setting: Setting
  #waiting: Array<{ instruction: Instruction; note: Note }> = []

  constructor(trx: Trx, setting: Setting) {
    this.#trx = trx
    this.#setting = { ...setting }
  }

  /** @throws InProgressError where an ending that it is about is being carried out */
  async apply(change: Change, { note, traceparent }: Origin): Promise<void> {
    // First, so that what another hold stands for now is not taken back with its old subject.
    if (this.#setting.holding) await this.#lift(change, note)
    const taken = change.withdraw ? await this.#withdraw(change.withdraw, { note, traceparent }) : undefined
    for (const one of change.store) this.#waiting.push({ instruction: { ...one, traceparent }, note })
    if (change.close) await this.#close(change.close, taken?.id ?? null)
    if (change.close || change.store.some(({ hold }) => hold)) this.#setting.holding = true
  }

  /** Stores what is still to be stored. */
  async flush(): Promise<void> {
    const { now, warnMinutes, closures, claimFor } = this.#setting
    const waiting = this.#waiting
    this.#waiting = []
    const all = waiting.map(
      ({ instruction }): Upsert => ({ instruction, claimedUntil: claimFor(instruction) }),
    )
    for (const [i, answer] of (await upsertEndings(this.#trx, all, now, warnMinutes, closures)).entries()) {
      if ('obstacle' in answer) throw new InProgressError('an ending is being carried out')
      const { note } = waiting[i] as (typeof waiting)[number]
      note(answer.ending, answer.replaced ? 'replaced' : 'accepted')
      for (const ending of answer.takenBack ?? []) note(ending, 'cancelled')
    }
  }

  async #withdraw(what: Withdrawn, { note, traceparent }: Origin): Promise<EndingRow | undefined> {
    await this.flush()
    const { sender, now } = this.#setting
    const rows = await withdraw(this.#trx, sender, what, now, traceparent)
    for (const ending of rows) note(ending, 'cancelled')
    return rows[0]
  }

  async #lift({ lift = [] }: Change, note: Note): Promise<void> {
    const { sender, closures } = this.#setting
    if (lift.length > 0) await this.flush()
    for (const choice of lift) {
      const { endings } = await closures.lift({ requestedBy: sender, ...choice }, sender)
      for (const ending of endings) note(ending, 'cancelled')
    }
  }

  /** Where nothing is ended now, the ending that was taken back is what the room is closed for. */
  async #close(closures: NonNullable<Change['close']>, taken: string | null): Promise<void> {
    const common = { requestedBy: this.#setting.sender, endingId: taken }
    await this.#setting.closures.close(closures.map((closure) => ({ ...common, ...closure })))
  }
}

/** Takes back that party's pending endings with that key or subject; all or none. */
async function withdraw(
  trx: Trx,
  sender: string,
  what: Withdrawn,
  now: number,
  traceparent: string | undefined,
): Promise<EndingRow[]> {
  const [column, value] = 'key' in what ? (['key', what.key] as const) : (['subject', what.subject] as const)
  const narrow = (pending: Cancelling) => {
    const some = pending.where('requested_by', '=', sender).where(column, '=', value)
    return traceparent === undefined ? some : some.set({ traceparent })
  }
  const rows = await cancel(trx, narrow, sender, now)
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
