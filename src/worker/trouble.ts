import type { Logger } from 'pino'
import { CallsHeldError } from '../calls/gate.ts'

/** Says `NAME.trouble`. That no call may leave is nobody's fault, and has its own line. */
export function logTrouble(log: Logger, name: string): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof CallsHeldError)) log.error({ err: error }, `${name}.trouble`)
  }
}
