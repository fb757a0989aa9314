import { createRequire } from 'node:module'
import { type DestinationStream, type Logger, pino } from 'pino'
import type { Config } from './plugins/config.ts'

// Nothing in the code logs these; this is for the day on which somebody logs a whole request. No wildcards: they cost
// more than all the rest of a log line.
const NEVER = [
  'authorization',
  'headers.authorization',
  'req.headers.authorization',
  'developerKey',
  'databaseUrl',
]
const redact = { paths: NEVER, censor: '[redacted]' }

/** One JSON object a line on standard output, or lines for people. */
export function createLogger({ level, format }: Config['log'], destination?: DestinationStream): Logger {
  const options = { level, redact, serializers: { err: describe }, base: { service: 'curfew' } }
  return pino(options, destination ?? (format === 'pretty' ? prettyLines() : jsonLines()))
}

// A pipe whose reader is slow must not hold up the service; pino flushes what is left when the process exits.
const jsonLines = () => pino.destination({ dest: 1, sync: false })

// Only where it is asked for: a production process need not carry it in memory.
const prettyLines = (): DestinationStream =>
  createRequire(import.meta.url)('pino-pretty')({ sync: true, singleLine: true })

interface Described {
  type: string
  code?: unknown
  message: string
  stack?: string | undefined
  cause?: Described | string
}

/** What is known to be harmless of an error: libraries hang requests, with their headers, on theirs. */
export function describe(error: unknown, depth = 0): Described | string {
  if (!(error instanceof Error)) return typeof error
  const { name: type, message, stack, cause } = error
  const { code } = error as { code?: unknown }
  return {
    type,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    message,
    ...(depth === 0 ? { stack } : {}),
    ...(cause !== undefined && depth < 3 ? { cause: describe(cause, depth + 1) } : {}),
  }
}
