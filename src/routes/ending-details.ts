import type { FastifyInstance } from 'fastify'
import type { Ending } from '../ending.ts'
import type { EndingRow } from '../storage/schema.ts'
import { attemptView, endingView, holdFields, warningView } from './ending-view.ts'

/** An ending with everything that was done for it. */
export async function detailed(
  { ledger, limits }: Pick<FastifyInstance, 'ledger' | 'limits'>,
  ending: EndingRow,
): Promise<Ending> {
  const [attempts, warnings, hold] = await Promise.all([
    ledger.attempts(ending.id),
    limits.warningsOf(ending.id),
    limits.holdOfEnding(ending.id),
  ])
  return {
    ...endingView(ending),
    ...holdFields(hold),
    attempts: attempts.map(attemptView),
    ...(warnings.length > 0 ? { warnings: warnings.map(warningView) } : {}),
  }
}
