import type { Caller } from '../caller.ts'
import {
  cancellable,
  cancelSome,
  type ManyChange,
  retriable,
  retrySome,
  type SomeChanged,
} from './endings/many.ts'
import type { EndingFilter } from './endings/pages.ts'
import type { Place } from './endings/upcoming.ts'
import { isUniqueViolation } from './engine/errors.ts'
import type { Ledger } from './ledger.ts'
import type { EndingRow } from './schema.ts'

/** What was done to many endings, or would be. */
export interface ManyChanged {
  /** how many the filter has found */
  matched: number
  /** those that were changed, in the order in which that was done */
  changed: string[]
  /** Whether there may be more, since it took too long to go through all of them. */
  isMore: boolean
}

export interface Many {
  change: ManyChange
  filter: EndingFilter
  caller: Caller
  isRehearsal: boolean
  /** Told of each that was changed, once that is committed. */
  onChanged: (ending: EndingRow) => void
}

// A transaction of some ms, with a turn for others between one and the next.
const AT_ONCE = 100
// Whoever asked may have given up by then, and can ask for the rest.
const LONGEST_MS = 20_000

/** Changes all that a filter finds, some at a time: what is pending by its due times, since that is what hurries. */
export async function changeMany(ledger: Ledger, many: Many): Promise<ManyChanged> {
  const done: ManyChanged = { matched: 0, changed: [], isMore: false }
  const until = ledger.clock.now() + LONGEST_MS
  for await (const rows of many.change === 'cancel' ? pendingOf(ledger, many) : failedOf(ledger, many)) {
    done.matched += rows.length
    done.changed.push(
      ...(many.isRehearsal ? await wouldChange(ledger, many, rows) : await change(ledger, many, rows)),
    )
    if (ledger.clock.now() < until) continue
    return { ...done, isMore: true }
  }
  return done
}

async function* pendingOf(ledger: Ledger, { filter }: Many): AsyncGenerator<EndingRow[]> {
  let behind: Place | undefined
  do {
    const page = await ledger.upcoming(filter, AT_ONCE, behind)
    if (page.endings.length > 0) yield page.endings
    behind = page.next
  } while (behind)
}

async function* failedOf(ledger: Ledger, { filter }: Many): AsyncGenerator<EndingRow[]> {
  let before: string | undefined
  do {
    const page = await ledger.page({ ...filter, state: 'failed', ...(before ? { before } : {}) }, AT_ONCE)
    if (page.endings.length > 0) yield page.endings
    before = page.next
  } while (before)
}

function wouldChange(ledger: Ledger, { change }: Many, rows: EndingRow[]): Promise<string[]> {
  const ids = rows.map(({ id }) => id)
  return ledger.read((db, now) => (change === 'cancel' ? cancellable(db, ids, now) : retriable(db, ids)))
}

async function change(ledger: Ledger, many: Many, rows: EndingRow[]): Promise<string[]> {
  const { changed, takenBack } = await inOne(ledger, many, rows)
  for (const ending of [...changed, ...takenBack]) {
    ledger.news.announce(ending)
    many.onChanged(ending)
  }
  return changed.map(({ id }) => id)
}

async function inOne(ledger: Ledger, many: Many, rows: EndingRow[]): Promise<SomeChanged> {
  const { change, caller } = many
  try {
    return await ledger.write(
      (trx, now) =>
        change === 'cancel'
          ? cancelSome(
              trx,
              rows.map(({ id }) => id),
              caller.name,
              now,
            )
          : retrySome(trx, rows, caller.name, now),
      { isLong: true },
    )
  } catch (error) {
    // Somebody has taken the key of one of them in this moment: then the others by themselves.
    if (!isUniqueViolation(error)) throw error
    if (rows.length === 1) return { changed: [], takenBack: [] }
    const each: SomeChanged[] = []
    for (const row of rows) each.push(await inOne(ledger, many, [row]))
    return { changed: each.flatMap((one) => one.changed), takenBack: each.flatMap((one) => one.takenBack) }
  }
}
