import { sql } from 'kysely'
import { nextWarningAt } from '../../time-limits/warnings.ts'
import type { EndingRow } from '../schema.ts'

// A claim whose lease ran out may still have a slow worker behind it: the raised number makes its report void.
export const newClaim = {
  retry_since: null,
  retry_base: sql<number>`endings.attempt`,
  claim: sql<number>`endings.claim + 1`,
  claimed_until: null,
}

/** The columns of an ending that is due at another time from now on (both epoch ms). */
export function dueAnew(dueAt: number, { warn_minutes }: Pick<EndingRow, 'warn_minutes'>, now: number) {
  return {
    ...newClaim,
    due_at: dueAt,
    next_attempt_at: Math.max(dueAt, now),
    warn_at: warn_minutes === null ? null : nextWarningAt(dueAt, JSON.parse(warn_minutes), now),
  }
}
