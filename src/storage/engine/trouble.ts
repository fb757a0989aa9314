import { StorageError } from './errors.ts'

const SQLITE: Record<number, string> = {
  5: 'the database is locked by another program',
  8: 'the database is read-only',
  10: 'the disk cannot be read or written',
  11: 'the database is damaged',
  13: 'the disk is full',
  14: 'the database file cannot be opened',
}

const POSTGRES: Record<string, string> = {
  ECONNREFUSED: 'PostgreSQL refuses the connection',
  ENOTFOUND: "PostgreSQL's host is not known",
  EAI_AGAIN: "PostgreSQL's host cannot be looked up",
  ECONNRESET: 'the connection to PostgreSQL broke',
  ETIMEDOUT: 'PostgreSQL does not answer',
  '25006': 'the database is read-only',
  '53100': 'the disk of PostgreSQL is full',
  '53300': 'PostgreSQL has no connection left',
  '55P03': 'a lock in PostgreSQL is held by another',
  '57014': 'PostgreSQL did not answer in time',
  '57P01': 'PostgreSQL is being stopped',
  '57P03': 'PostgreSQL is starting up',
  '25P03': 'PostgreSQL has ended a transaction that stood still',
  '28P01': 'PostgreSQL refuses the password',
}

/** Why the ledger cannot be written, for whoever is on call: in a few words, and without what the driver may repeat. */
export function troubleOf(error: unknown): string {
  const cause = error instanceof StorageError ? error.cause : error
  const {
    code,
    errcode,
    message = '',
  } = (cause ?? {}) as {
    code?: string
    errcode?: number
    message?: string
  }
  if (code === 'DATABASE_REPLACED' || code === 'NOT_SYNCED') return message
  const known = errcode === undefined ? POSTGRES[code ?? ''] : SQLITE[errcode & 0xff]
  if (known) return known
  if (/timeout|timed out/i.test(message)) return 'the database does not answer in time'
  if (/terminated|ended|closed|not open/i.test(message)) return 'the connection to the database is closed'
  return 'the database cannot be written; the log says more (storage.cannot_store)'
}
