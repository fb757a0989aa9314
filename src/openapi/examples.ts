import type { ProblemDocument } from '../problem.ts'
import recorded from './examples.json' with { type: 'json' }

/** What a service was asked and has answered; `npm run openapi -- --examples` records them anew. */
interface Examples {
  /** by operation id: the body that was sent, and the answer to it by its status */
  operations: Record<string, { request?: unknown; answers: Record<string, unknown> }>
  /** by code */
  problems: Record<string, ProblemDocument>
}

export const EXAMPLES: Examples = recorded as Examples
