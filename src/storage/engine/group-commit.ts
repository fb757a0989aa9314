import type { ControlledTransaction } from 'kysely'
import type { Db, Engine, Tables, Trx } from '../schema.ts'
import { engineOf } from './compiled.ts'
import { isTrouble } from './errors.ts'
import type { OpenDatabase } from './open-database.ts'

export type Work<T> = (trx: Trx) => Promise<T>

/** Work that is cheaper for several items than for each by itself: what arrives together is done by one run. */
export interface Batched<I, O> {
  /** Answers in the order of the items. */
  run(trx: Trx, items: I[]): Promise<O[]>
  /** Whether `run` is one statement for these items, and so needs no transaction around it. */
  isOneStatement(items: I[], engine: Engine): boolean
  /** Nothing is lost where a power failure undoes it, so nobody waits for the disk: it is there some ms later. */
  isVolatile?: boolean
  /** It tells nobody outside that something is stored: where the file is not in its place any more, others say so. */
  isInternal?: boolean
}

export interface CommitOptions {
  /** Long work has commits of its own, and between two of them everybody else has one. */
  isLong?: boolean
  /** See `Batched`. */
  isVolatile?: boolean
  /** Work of one commit is done in this order, so that two replicas lock the same rows one after the other. */
  order?: string
}

/** Where writes are carried out. */
export interface Commits {
  /** Resolves with what `work` returned; rejects with what it threw, or why it was not committed. */
  run<T>(work: Work<T>, options?: CommitOptions): Promise<T>
  /** The same for one item of batched work. */
  add<I, O>(work: Batched<I, O>, item: I): Promise<O>
}

interface Caller {
  resolve: (answer: unknown) => void
  reject: (error: unknown) => void
}

interface Entry {
  work: Batched<unknown, unknown>
  items: unknown[]
  /** one for each item */
  callers: Caller[]
  order: string
}

// So that one commit never keeps the event loop, or a connection, for long: as many, and as long (ms).
const MOST_ENTRIES = 200
const MOST_ITEMS = 200
const LONGEST_COMMIT_MS = 20

/**
 * Lets writes that arrive together share one commit: one fsync instead of many. Everybody is answered after COMMIT.
 *
 * A commit runs straight through first. Where something in it throws, it is rolled back and run again with a savepoint
 * around each item, so that one's violation is not another's. Work may therefore run twice and must do nothing but SQL.
 */
export class GroupCommit implements Commits {
  readonly #db: Db
  readonly #verify: () => void
  readonly #sync: ((waiting: number) => Promise<void>) | undefined
  readonly #syncSoon: () => void
  readonly #waiting: Entry[] = []
  readonly #long: Entry[] = []
  #running = false

  /**
   * `verify` throws where what would be committed now would not be found again; `sync` resolves when what is committed is
   * on the disk, where a commit alone does not see to that; `syncSoon` sees to it where nobody waits.
   */
  constructor(
    db: Db,
    {
      verify = () => {},
      sync,
      syncSoon = () => {},
    }: Partial<Pick<OpenDatabase, 'verify' | 'sync' | 'syncSoon'>> = {},
  ) {
    this.#db = db
    this.#verify = verify
    this.#sync = sync
    this.#syncSoon = syncSoon
  }

  /** Resolves with what `work` returned once it is committed; rejects with what it threw, or why it was not committed. */
  run<T>(work: Work<T>, { isLong = false, isVolatile = false, order = '' }: CommitOptions = {}): Promise<T> {
    const run = async (trx: Trx) => [await work(trx)]
    const alone: Batched<null, T> = { run, isOneStatement: () => false, isVolatile }
    return this.#enqueue(isLong ? this.#long : this.#waiting, alone, null, order)
  }

  /** The same for one item of batched work. */
  add<I, O>(work: Batched<I, O>, item: I): Promise<O> {
    return this.#enqueue(this.#waiting, work, item, '')
  }

  #enqueue<I, O>(queue: Entry[], work: Batched<I, O>, item: I, order: string): Promise<O> {
    return new Promise<O>((resolve, reject) => {
      const caller = { resolve: resolve as Caller['resolve'], reject }
      const open = queue.findLast((entry) => entry.work === (work as unknown))
      if (open && open.items.length < MOST_ITEMS) {
        open.items.push(item)
        open.callers.push(caller)
      } else
        queue.push({
          work: work as unknown as Entry['work'],
          items: [item],
          callers: [caller],
          order,
        })
      if (this.#running) return
      this.#running = true
      // After the sockets that are readable now have been read: their requests share this commit.
      setImmediate(() => void this.#drain())
    })
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length + this.#long.length > 0) {
      await this.#commit(this.#waiting)
      await this.#commit(this.#long)
    }
    this.#running = false
  }

  async #commit(queue: Entry[]): Promise<void> {
    const entries = queue.splice(0, MOST_ENTRIES)
    if (entries.length > 1) entries.sort(byOrder)
    if (entries.length === 0) return
    try {
      const done =
        (await this.#statement(entries)) ??
        (await this.#transaction(entries, straight)) ??
        (await this.#transaction(entries, withSavepoints))
      // What there was no time for is first in the next one.
      queue.unshift(...entries.slice(done?.count))
      if (done) this.#tell(done)
    } catch (error) {
      rejectAll(entries, error)
    }
  }

  /** Once it is on the disk; meanwhile the next commit goes on. */
  #tell({ answers }: Done): void {
    const isWaiting = ({ entry }: Answered) => this.#sync !== undefined && entry.work.isVolatile !== true
    const waiting = answers.filter(isWaiting)
    for (const one of answers) if (!isWaiting(one)) one.tell()
    if (waiting.length === 0) {
      this.#syncSoon()
      return
    }
    const held = [...waiting.map(({ entry }) => entry), ...this.#waiting]
    this.#sync?.(held.reduce((sum, { items }) => sum + items.length, 0)).then(
      () => {
        for (const { tell } of waiting) tell()
      },
      (error) =>
        rejectAll(
          waiting.map(({ entry }) => entry),
          error,
        ),
    )
  }

  #verifyFor(entries: Entry[]): void {
    if (!entries.every(({ work }) => work.isInternal)) this.#verify()
  }

  /** One statement is a transaction by itself: without BEGIN and COMMIT it is one round trip instead of three. */
  async #statement([entry, other]: Entry[]): Promise<Done | undefined> {
    if (!entry || other || !entry.work.isOneStatement(entry.items, engineOf(this.#db))) return undefined
    this.#verifyFor([entry])
    try {
      const answers = await entry.work.run(this.#db as Trx, entry.items)
      return { count: 1, answers: [{ entry, tell: () => answer(entry, answers) }] }
    } catch (error) {
      // Whether it was stored is not known where the connection broke, so it must not be tried again.
      if (isTrouble(error)) throw error
      return undefined
    }
  }

  /**
   * Returns how many of the entries it had time for, and what to tell them after its COMMIT; undefined where one of them
   * threw and everything was rolled back. Throws where it could not begin or its COMMIT failed: then nothing is known.
   */
  async #transaction(entries: Entry[], runAll: typeof straight): Promise<Done | undefined> {
    const trx = await this.#db.startTransaction().execute()
    try {
      const done = await runAll(trx, entries)
      if (done) {
        this.#verifyFor(entries)
        await trx.commit().execute()
      } else await trx.rollback().execute().catch(ignore)
      return done
    } catch (error) {
      if (!trx.isCommitted && !trx.isRolledBack) await trx.rollback().execute().catch(ignore)
      throw error
    }
  }
}

/** Of how many entries a commit was, and what they are to be told. */
interface Done {
  count: number
  answers: Answered[]
}

interface Answered {
  entry: Entry
  tell: () => void
}

type Open = ControlledTransaction<Tables>

async function straight(trx: Open, entries: Entry[]): Promise<Done | undefined> {
  const until = performance.now() + LONGEST_COMMIT_MS
  const answers: Answered[] = []
  for (const entry of entries) {
    if (answers.length > 0 && performance.now() > until) break
    try {
      const values = await entry.work.run(trx, entry.items)
      answers.push({ entry, tell: () => answer(entry, values) })
    } catch {
      return undefined
    }
  }
  return { count: answers.length, answers }
}

async function withSavepoints(trx: Open, entries: Entry[]): Promise<Done> {
  const answers: Answered[] = []
  for (const entry of entries)
    for (const [i, item] of entry.items.entries()) {
      const { resolve, reject } = entry.callers[i] as Caller
      const guarded = await trx.savepoint('one').execute()
      try {
        const [value] = await entry.work.run(guarded, [item])
        await guarded.releaseSavepoint('one').execute()
        answers.push({ entry, tell: () => resolve(value) })
      } catch (error) {
        await guarded.rollbackToSavepoint('one').execute()
        answers.push({ entry, tell: () => reject(error) })
      }
    }
  return { count: entries.length, answers }
}

function answer({ callers }: Entry, answers: unknown[]): void {
  callers.forEach(({ resolve }, i) => void resolve(answers[i]))
}

function rejectAll(entries: Entry[], error: unknown): void {
  for (const { callers } of entries) for (const { reject } of callers) reject(error)
}

function byOrder(a: Entry, b: Entry): number {
  if (a.order === b.order) return 0
  return a.order < b.order ? -1 : 1
}

// The rollback of a transaction whose connection broke: the error that broke it is the one that is reported.
function ignore(): void {}
