import { type DestinationStream, type Logger, pino } from 'pino'
import pretty from 'pino-pretty'
import type { Config } from './plugins/config.ts'

// Nothing in the code logs these; this is for the day on which somebody logs a whole request.
const NEVER = ['authorization', 'cookie', 'password', 'secret', 'developerKey', 'keys', 'databaseUrl']
const redact = { paths: NEVER.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' }

/** One JSON object a line on standard output, or lines for people. */
export function createLogger({ level, format }: Config['log'], destination?: DestinationStream): Logger {
  const to = destination ?? (format === 'pretty' ? pretty({ sync: true, singleLine: true }) : undefined)
  const options = { level, redact, serializers: { err: describe }, base: { service: 'curfew' } }
  return to ? pino(options, to) : pino(options)
}

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
