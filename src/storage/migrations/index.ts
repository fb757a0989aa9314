import type { Migration } from 'kysely/migration'
import { migration as endings } from './001-endings.ts'

/** In the order of their names. Append; never edit or reorder. */
export const migrations: Record<string, Migration> = {
  '001-endings': endings,
}
