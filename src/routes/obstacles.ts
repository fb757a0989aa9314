import { invalid, Problem } from '../problem.ts'
import type { Answer } from '../storage/ledger.ts'
import type { EndingRow } from '../storage/schema.ts'

type Obstacle = Extract<Answer, { obstacle: unknown }>['obstacle']

const DETAILS: Record<Exclude<Obstacle, 'too-far'>, string> = {
  'not-found': 'there is no ending with this id',
  forbidden: 'only the caller that asked for an ending, or an operator, may change it',
  'not-pending': 'it is no longer pending',
  'not-failed': 'only an ending that has failed can be tried again',
  'in-progress': 'its call is on its way; GET it in a moment to see what came of it',
  'key-taken': 'its caller has a pending ending with this key, which has taken its place',
  'idempotency-mismatch': 'within 24 hours a key names one method, path and body',
}

/** The ending of an answer that has one; where something was in the way, the problem that says so. */
export function endingOf(answer: Answer): Extract<Answer, { ending: unknown }> {
  if ('ending' in answer) return answer
  if (answer.obstacle === 'too-far') throw invalid('/extendMinutes', 'must not lead more than a year ahead')
  throw new Problem(answer.obstacle, DETAILS[answer.obstacle])
}

/** `ending` is what could not be changed, as it is by now. */
export function notPending(ending: EndingRow | undefined): Problem {
  return new Problem('not-pending', howItIsOver(ending))
}

function howItIsOver(ending: EndingRow | undefined): string {
  if (ending?.state === 'cancelled') return 'it was cancelled'
  if (ending?.state === 'failed') return `it has failed: ${ending.failure}; POST …/retry tries it again`
  return ending?.state === 'ended' ? `it has ended: ${ending.outcome}` : DETAILS['not-pending']
}
