import type { Db } from '../storage/schema.ts'
import type { Finding } from './finding.ts'

/** A ledger that was opened to be looked at. */
export interface Opened {
  findings: Finding[]
  /** undefined where it is not there or cannot be read; whoever gets it closes it */
  db: Db | undefined
  /** how far the clock that Curfew goes by is ahead of this machine's */
  offsetMs: number
}
