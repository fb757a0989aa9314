import { createRequire } from 'node:module'
import { type DestinationStream, type Logger, pino } from 'pino'
import type { Config } from './config/config.ts'

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

// What is logged within this is written together: each write costs as much as the rest of a line.
const GATHER_MS = 10
const GATHER_BYTES = 8 * 1024

/** A pipe whose reader is slow must not hold up the service; pino flushes what is left when the process exits. */
function jsonLines(): DestinationStream {
  const out = pino.destination({ dest: 1, sync: false, minLength: GATHER_BYTES })
  let isGathering = false
  let unwrittenBytes = 0
  const flush = () => {
    isGathering = false
    if (unwrittenBytes > 0) out.flush()
  }
  out.on('write', (bytes: number) => {
    unwrittenBytes -= bytes
  })
  // A flush does nothing while a write is under way, so that the last line before a quiet hour would wait for the next one.
  out.on('drain', () => {
    if (!isGathering) flush()
  })
  return {
    write(line) {
      unwrittenBytes += Buffer.byteLength(line)
      out.write(line)
      if (isGathering) return
      isGathering = true
      setTimeout(flush, GATHER_MS)
    },
  }
}

/** Only where it is asked for: a production process need not carry the formatter in memory. */
function prettyLines(): DestinationStream {
  const { prettyFactory, isColorSupported } = createRequire(import.meta.url)('pino-pretty')
  const format: (line: string) => string = prettyFactory({ singleLine: true, colorize: isColorSupported })
  const out = pino.destination({ dest: 1, sync: true })
  return { write: (line) => void out.write(visible(format(line))) }
}

// What moves the cursor, colours or reverses the text of a terminal, and JSON leaves as it is.
const INVISIBLE = /[\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/** Characters from outside that a terminal would obey, as JSON escapes. */
export function visible(text: string): string {
  return text.replaceAll(INVISIBLE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
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
