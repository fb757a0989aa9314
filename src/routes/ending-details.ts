import type { FastifyInstance } from 'fastify'
import type { ChangeRow, EndingRow } from '../storage/schema.ts'
import type { Ending } from './ending-schemas.ts'
import { attemptView, changeView, endingView, holdFields, warningView } from './ending-view.ts'

/** An ending with everything that was done for it. */
export async function detailed(
  { ledger, limits }: Pick<FastifyInstance, 'ledger' | 'limits'>,
  ending: EndingRow,
): Promise<Ending> {
  const [attempts, changes, warnings, hold] = await Promise.all([
    ledger.attempts(ending.id),
    ledger.changes(ending.id),
    limits.warningsOf(ending.id),
    limits.holdOfEnding(ending.id),
  ])
  return {
    ...endingView(ending),
    ...holdFields(hold),
    attempts: attempts.map(attemptView),
    ...(warnings.length > 0 ? { warnings: warnings.map(warningView) } : {}),
    changes: changes.map(changeView),
    ...changesOmitted(changes),
  }
}

/** How many are not kept between the first and the newest ones. */
export function changesOmitted(changes: ChangeRow[]): { changesOmitted?: number } {
  const missing = (changes.at(-1)?.seq ?? 0) - changes.length
  return missing > 0 ? { changesOmitted: missing } : {}
}
