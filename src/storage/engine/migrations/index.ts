import type { Migration } from 'kysely/migration'
import { migration as endings } from './001-endings.ts'
import { migration as events } from './002-events.ts'
import { migration as timeLimits } from './003-time-limits.ts'
import { migration as owners } from './004-owners.ts'
import { migration as changes } from './005-changes.ts'
import { migration as retrying } from './006-retrying.ts'
import { migration as largeLedgers } from './007-large-ledgers.ts'
import { migration as replicas } from './008-replicas.ts'
import { migration as operations } from './009-operations.ts'
import { migration as notifications } from './010-notifications.ts'
import { migration as statistics } from './011-statistics.ts'

/** In the order of their names. Append; never edit or reorder. */
export const migrations: Record<string, Migration> = {
  '001-endings': endings,
  '002-events': events,
  '003-time-limits': timeLimits,
  '004-owners': owners,
  '005-changes': changes,
  '006-retrying': retrying,
  '007-large-ledgers': largeLedgers,
  '008-replicas': replicas,
  '009-operations': operations,
  '010-notifications': notifications,
  '011-statistics': statistics,
}
