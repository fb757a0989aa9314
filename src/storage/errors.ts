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

/** Runs a piece of work on the database and tells its trouble (StorageError) from our mistakes (as they come). */
export async function translated<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof InProgressError || error instanceof TooManyError || isOurMistake(error)) throw error
    throw new StorageError('the ledger cannot be reached or written now', { cause: error })
  }
}

// PostgreSQL: class 22 bad data, 23 constraint, 42 syntax. SQLite: 1 SQL error, 19 constraint (in the low byte).
function isOurMistake(error: unknown): boolean {
  const { code, errcode } = error as { code?: string; errcode?: number }
  if (errcode !== undefined) return [1, 19].includes(errcode & 0xff)
  return error instanceof TypeError || (typeof code === 'string' && /^(22|23|42)/.test(code))
}

/** PostgreSQL: another transaction took the same unique key first. */
export function isUniqueViolation(error: unknown): boolean {
  return (error as { code?: string }).code === '23505'
}
