import { writeSync } from 'node:fs'
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

/** A pipe whose reader is slow must not hold up the service, nor one whose reader is gone its end. */
function jsonLines(): DestinationStream {
  const out = pino.destination({ dest: 1, sync: false })
  let gathered = ''
  let isGathering = false
  let isWriting = false
  let isRead = true
  const pass = () => {
    if (isWriting || gathered === '') return
    isWriting = true
    const lines = gathered
    gathered = ''
    out.write(lines)
  }
  out.on('drain', () => {
    isWriting = false
    if (!isGathering) pass()
  })
  out.on('error', (error: Error & { code?: string }) => {
    if (error.code !== 'EPIPE') throw error
    isRead = false
    gathered = ''
  })
  // What pino calls as the process exits. The stream's own tries for ever where nobody reads any more, and the process
  // would keep the ledger from the one that comes after it.
  out.flushSync = () => writeNow(1, gathered)
  return {
    write(line) {
      if (!isRead) return
      gathered += line
      if (gathered.length >= GATHER_BYTES) pass()
      if (isGathering) return
      isGathering = true
      setTimeout(() => {
        isGathering = false
        pass()
      }, GATHER_MS)
    },
  }
}

// A pipe that somebody else has made non-blocking is full for a moment.
const FULL = { tries: 100, pauseMs: 10 }

/** All of it, unless it cannot be written: by then there is nobody left to be told. */
function writeNow(fd: number, text: string): void {
  let left = Buffer.from(text)
  for (let tries = 0; left.length > 0 && tries < FULL.tries; ) {
    try {
      left = left.subarray(writeSync(fd, left))
    } catch (error) {
      if ((error as { code?: string }).code !== 'EAGAIN') return
      tries += 1
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL.pauseMs)
    }
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
