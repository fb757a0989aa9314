import type { ProblemCode } from '../problem.ts'

/** What whoever needs a key and the ledger may be answered. */
export const LEDGER: ProblemCode[] = ['unauthorized', 'too-many-requests', 'storage-unavailable']
/** What whoever sends a body may be answered. */
export const BODY: ProblemCode[] = ['body-too-large', 'unsupported-media-type']
