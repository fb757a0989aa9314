import type { Readable } from 'node:stream'
import { errorCodes, type FastifyRequest } from 'fastify'
import { Problem } from '../problem.ts'

const FIRST_BYTES = 16 * 1024

/**
 * Reads a body into one buffer, so that one that comes byte by byte takes no more than another. `withinMs` bounds how
 * long it may take.
 */
export async function readBody(
  request: FastifyRequest,
  payload: Readable,
  limit: number,
  withinMs?: number,
): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge()
  const body = new GrowingBuffer(limit)
  const stop = new AbortController()
  const late = withinMs === undefined ? undefined : setTimeout(() => stop.abort(), withinMs)
  try {
    await new Promise<void>((resolve, reject) => {
      stop.signal.addEventListener('abort', () => reject(tooSlow()))
      payload.once('end', resolve)
      payload.once('error', () => reject(brokenOff()))
      payload.once('close', () => reject(brokenOff()))
      payload.on('data', (chunk: Buffer) => {
        if (!body.add(chunk)) reject(tooLarge())
      })
    })
    return body.bytes()
  } finally {
    clearTimeout(late)
    payload.removeAllListeners('data').pause()
  }
}

class GrowingBuffer {
  readonly #limit: number
  #buffer = Buffer.allocUnsafe(FIRST_BYTES)
  #length = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Whether there was room for it. */
  add(chunk: Buffer): boolean {
    const length = this.#length + chunk.length
    if (length > this.#limit) return false
    if (length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.min(Math.max(length, this.#buffer.length * 2), this.#limit))
      this.#buffer.copy(larger, 0, 0, this.#length)
      this.#buffer = larger
    }
    chunk.copy(this.#buffer, this.#length)
    this.#length = length
    return true
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }
}

const tooLarge = () => new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE()
const brokenOff = () => new Problem('bad-request', 'the body broke off')
const tooSlow = () => new Problem('request-timeout', 'the body took too long to arrive')
