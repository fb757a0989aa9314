import { randomBytes } from 'node:crypto'

/*
 * W3C Trace Context, as far as a service needs it that records no spans: what came with a request is kept and passed on,
 * so that one search finds the request, what was done for it, and what Digital Samba has seen of it.
 * https://www.w3.org/TR/trace-context/#traceparent-header
 */

const TRACE_ID = 32
const SPAN_ID = 16
const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
// Which of the flags have a meaning that is passed on: sampled, and that the trace id is random (Level 2).
const KNOWN_FLAGS = 0x03

/**
 * A header, or an event's attribute, as version 00 says it; undefined where it is none, which is ignored and no mistake.
 * Of a later version what 00 knows of it counts.
 */
export function readTraceparent(given: unknown): string | undefined {
  const [, version, trace, span, flags, more] = (typeof given === 'string' && FORM.exec(given)) || []
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined
  if (trace === '0'.repeat(TRACE_ID) || span === '0'.repeat(SPAN_ID)) return undefined
  const known = Number.parseInt(flags as string, 16) & KNOWN_FLAGS
  return `00-${trace}-${span}-0${known}`
}

/**
 * The first of a trace that begins here. It is not marked as sampled: that would ask everybody behind us to record it,
 * which is theirs to decide where nobody has.
 */
export function newTraceparent(): string {
  return `00-${randomHex(TRACE_ID)}-${randomHex(SPAN_ID)}-00`
}

/** The same trace with another span: one for each call. */
export function nextSpan(traceparent: string): string {
  return `${traceparent.slice(0, 3 + TRACE_ID)}-${randomHex(SPAN_ID)}${traceparent.slice(-3)}`
}

const POOL_BYTES = 4096
let pool = randomBytes(POOL_BYTES)
let used = 0

// Asking the system for random bytes costs more than a call's other headers, so they are asked for many at a time.
function randomHex(digits: number): string {
  const bytes = digits / 2
  if (used + bytes > pool.length) {
    pool = randomBytes(POOL_BYTES)
    used = 0
  }
  used += bytes
  return pool.toString('hex', used - bytes, used)
}
