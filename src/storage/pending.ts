import { sql } from 'kysely'

/** A literal, because SQLite matches a partial index only to a condition that it can read while planning. */
export const PENDING = sql.lit('pending' as const)
