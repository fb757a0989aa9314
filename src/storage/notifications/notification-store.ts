import { type Caller, mayChange } from '../../caller.ts'
import type { Ledger } from '../ledger.ts'
import type { Db, NotificationRow, NotificationTryRow, ReceiverRow } from '../schema.ts'
import {
  allDue,
  type Holding,
  hold,
  letGo,
  nextDue,
  noteFailure,
  noteSuccess,
  prepareReceivers,
  SETTLED,
  type Tried,
} from './deliveries.ts'
import { countNotifications, failingReceivers } from './health.ts'
import { type NotificationFilter, type NotificationPage, pageOfNotifications } from './pages.ts'
import { retriableNotifications, retryNotifications } from './retries.ts'

/** Why somebody's retry was not made. */
export type RetryObstacle = 'not-found' | 'forbidden' | 'told'

/** What was done to many notifications, or would be. */
export interface NotificationsRetried {
  /** how many the filter has found */
  matched: number
  changed: string[]
  /** whether there may be more */
  isMore: boolean
}

const AT_ONCE = 100
// Whoever asked may have given up by then, and can ask for the rest.
const LONGEST_MS = 20_000

/** The outbox: what callers are told of their endings. Each method is one transaction; trouble rejects with StorageError. */
export class NotificationStore {
  readonly #ledger: Ledger

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /** Before anybody tells these callers. */
  prepare(callers: string[]): Promise<void> {
    return this.#ledger.write((trx) => prepareReceivers(trx, callers))
  }

  /** See `hold`. */
  hold(holding: Holding): Promise<number | undefined> {
    return this.#ledger.writeAside((trx, now) => hold(trx, holding, now), { isVolatile: true })
  }

  letGo(who: { caller: string; holder: string }): Promise<void> {
    return this.#ledger.writeAside((trx) => letGo(trx, who), { isVolatile: true })
  }

  /** See `nextDue`. */
  nextDue(caller: string): Promise<number | undefined> {
    return this.#ledger.readAside((db) => nextDue(db, caller))
  }

  /** See `allDue`. */
  due(caller: string, limit: number): Promise<NotificationRow[]> {
    return this.#ledger.readAside((db, now) => allDue(db, caller, limit, now))
  }

  /** See `SETTLED`. */
  settle(tried: Omit<Tried, 'now'>): Promise<void> {
    return this.#ledger.addAside(SETTLED, { ...tried, now: this.#ledger.clock.now() })
  }

  /** See `noteFailure`. */
  noteFailure(caller: string, error: string | null): Promise<number | undefined> {
    return this.#ledger.writeAside((trx, now) => noteFailure(trx, caller, error, now))
  }

  /** See `noteSuccess`. */
  noteSuccess(caller: string): Promise<number | undefined> {
    return this.#ledger.writeAside((trx) => noteSuccess(trx, caller))
  }

  page(filter: NotificationFilter, limit: number): Promise<NotificationPage> {
    return this.#ledger.read((db) => pageOfNotifications(db, filter, limit))
  }

  find(id: string): Promise<NotificationRow | undefined> {
    return this.#ledger.read((db) => findNotification(db, id))
  }

  /** Every try of one, in order. */
  tries(id: string): Promise<NotificationTryRow[]> {
    return this.#ledger.read((db) =>
      db
        .selectFrom('notification_tries')
        .selectAll()
        .where('notification_id', '=', id.toLowerCase())
        .orderBy('attempt')
        .execute(),
    )
  }

  /** What its caller was told of one ending, in order. */
  async ofEnding(ending: string): Promise<NotificationRow[]> {
    const { notifications } = await this.page({ ending }, MOST_OF_ONE)
    return notifications.reverse()
  }

  /** How many wait, and how many were given up; neither is counted further than some ten thousands. */
  counts(): Promise<{ pending: number; failed: number }> {
    return this.#ledger.read(countNotifications)
  }

  /** Callers of whom every try has failed for a while, the longest first. */
  failing(): Promise<ReceiverRow[]> {
    return this.#ledger.read(failingReceivers)
  }

  /** Has one tried now. */
  async retry(id: string, caller: Caller): Promise<NotificationRow | { obstacle: RetryObstacle }> {
    const before = await this.find(id)
    if (!before) return { obstacle: 'not-found' }
    if (!mayChange(caller, before.caller)) return { obstacle: 'forbidden' }
    if (before.state === 'told') return { obstacle: 'told' }
    const [row] = await this.#ledger.write((trx, now) => retryNotifications(trx, [before.id], now))
    // It has been told in this moment.
    if (!row) return (await this.find(before.id)) ?? before
    this.#ledger.news.toTell(row.caller)
    return row
  }

  /** The same for all that a filter finds and that is not told yet; a rehearsal only counts them. */
  async retryMany(filter: NotificationFilter, isRehearsal: boolean): Promise<NotificationsRetried> {
    const done: NotificationsRetried = { matched: 0, changed: [], isMore: false }
    const until = this.#ledger.clock.now() + LONGEST_MS
    // What waits first: what has failed waits, too, once that is done.
    const states = filter.state ? [filter.state] : (['pending', 'failed'] as const)
    for (const state of states)
      for (let before: string | undefined, isFirst = true; isFirst || before !== undefined; isFirst = false) {
        const page = await this.page({ ...filter, state, ...(before ? { before } : {}) }, AT_ONCE)
        const ids = page.notifications.map(({ id }) => id)
        done.matched += ids.length
        done.changed.push(...(isRehearsal ? await this.#couldRetry(ids) : await this.#retryAll(ids)))
        before = page.next
        if (before !== undefined && this.#ledger.clock.now() >= until) return { ...done, isMore: true }
      }
    return done
  }

  #couldRetry(ids: string[]): Promise<string[]> {
    return this.#ledger.read((db) => retriableNotifications(db, ids))
  }

  async #retryAll(ids: string[]): Promise<string[]> {
    const rows = await this.#ledger.write((trx, now) => retryNotifications(trx, ids, now), { isLong: true })
    for (const caller of new Set(rows.map((row) => row.caller))) this.#ledger.news.toTell(caller)
    return rows.map(({ id }) => id)
  }
}

// An ending may be reopened a few times; more than that there are not.
const MOST_OF_ONE = 50

function findNotification(db: Db, id: string): Promise<NotificationRow | undefined> {
  return db.selectFrom('notifications').selectAll().where('id', '=', id.toLowerCase()).executeTakeFirst()
}
