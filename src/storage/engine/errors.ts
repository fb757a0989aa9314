/** The ledger cannot be read or written now: a full disk, a broken connection. What was asked may be asked again. */
export class StorageError extends Error {
  override readonly name = 'StorageError'
  readonly code = 'STORAGE_UNAVAILABLE'
}

/** One of the endings that it is about is being carried out at this moment: nothing was done; the same again in a moment. */
export class InProgressError extends Error {
  override readonly name = 'InProgressError'
  readonly code = 'IN_PROGRESS'
}

/** One party keeps more than it may; the message says what and how many, for the party to read. */
export class TooManyError extends Error {
  override readonly name = 'TooManyError'
  readonly code = 'TOO_MANY'
}

/** Runs a piece of work on the database and tells the database's trouble (StorageError) from defects (as they come). */
export async function translated<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!isTrouble(error)) throw error
    throw new StorageError('the ledger cannot be reached or written now', { cause: error })
  }
}

// SQLite's primary codes: busy, locked, out of memory, read-only, input/output, damaged, full, cannot open, no database.
const SQLITE_TROUBLE = [5, 6, 7, 8, 10, 11, 13, 14, 26]
// PostgreSQL's classes: connection, authorization, no such database, transaction rolled back (a deadlock), resources,
// an object not in the state it has to be in (a lock), intervention (a time-out, a shutdown), the system's own errors.
const POSTGRES_TROUBLE = /^(08|28|3D|40|53|55|57|58)/
const READ_ONLY = '25006'
const NETWORK =
  /^(E(CONN|PIPE|TIMEDOUT|HOST|NET|NOTFOUND|AI_AGAIN|ADDRNOTAVAIL|MFILE|NFILE)|ERR_(SSL|TLS)_|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/
// The drivers have no codes for these: pg, its pool, Kysely and Node's SQLite.
const SAID =
  /timeout|terminated|connection error|not queryable|after calling end|already been destroyed|database is not open|not support SSL/i

/** Whether the database itself is in trouble: what it was asked may be asked again. */
export function isTrouble(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code, errcode, message } = error as Error & { code?: unknown; errcode?: number }
  if (errcode !== undefined) return SQLITE_TROUBLE.includes(errcode & 0xff)
  if (code === READ_ONLY || code === REPLACED || code === 'NOT_SYNCED') return true
  if (isRefusedName(error)) return true
  if (typeof code === 'string' && (POSTGRES_TROUBLE.test(code) || NETWORK.test(code))) return true
  return !(error instanceof TypeError) && isOfDriver(code) && SAID.test(message)
}

// What PostgreSQL says of a prepared statement's name that it does not know, and of one that it knows already: a pooler
// between has given us somebody else's connection.
const REFUSED_NAMES = new Set<unknown>(['26000', '42P05'])
// And of a table that another version has migrated since. The code is that of any feature that is not supported, so the
// place in PostgreSQL's source that says it has to be looked at: its words are in the server's language.
const CHANGED_TABLE = { code: '0A000', routine: 'RevalidateCachedQuery' }

/** Whether a statement was not executed because of its name (prepared.ts): the next time it has none. */
export function isRefusedName(error: unknown): boolean {
  const { code, routine } = error as { code?: unknown; routine?: unknown }
  const isChanged = code === CHANGED_TABLE.code && routine === CHANGED_TABLE.routine
  return isChanged || REFUSED_NAMES.has(code)
}

// PostgreSQL's own words come with a code of five characters; a driver's, with none or with Node's.
function isOfDriver(code: unknown): boolean {
  return code === undefined || code === 'ERR_INVALID_STATE'
}

const REPLACED = 'DATABASE_REPLACED'

/** What is open is no longer the file of that name: whatever is written now is gone with this process. */
export class DatabaseReplacedError extends Error {
  override readonly name = 'DatabaseReplacedError'
  readonly code = REPLACED
}

/** PostgreSQL: another transaction took the same unique key first. */
export function isUniqueViolation(error: unknown): boolean {
  return (error as { code?: string }).code === '23505'
}

const DEADLOCK = '40P01'

/**
 * Of two transactions that wait for each other PostgreSQL ends one, and nothing of that one is done: it is done once
 * more, when the other is out of the way.
 */
export async function onceMoreAfterDeadlock<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const { cause } = error as { cause?: { code?: unknown } }
    if (cause?.code !== DEADLOCK) throw error
    return work()
  }
}
