import http from 'node:http'
import https from 'node:https'
import got, { type Got, RequestError, type Response, TimeoutError } from 'got'
import { Webhook } from 'standardwebhooks'
import { type Clock, systemClock } from '../clock.ts'
import { parseRetryAfter, storable } from '../digital-samba/answers.ts'
import type { Receiver } from '../notification.ts'
import { nextSpan } from '../traceparent.ts'

/** One message, as it is the same at every try. */
export interface Message {
  id: string
  body: string
  traceparent: string | null
}

/** What became of one try; `status` is null where there was no answer. */
export interface Delivered {
  startedAt: number
  durationMs: number
  status: number | null
  /** null where it was told */
  error: string | null
  /** the beginning of what was answered, in one line */
  answer: string
  /** how long the receiver asked to be left alone (ms) */
  retryAfterMs: number | undefined
}

const TIMEOUT_MS = 10_000
const MOST_READ_BYTES = 64 * 1024
const MOST_KEPT_BYTES = 1024

/** Posts messages to receivers, signed as in Standard Webhooks. It knows nothing of when, and how often. */
export class Deliverer {
  readonly #clock: Clock
  readonly #got: Got
  readonly #agents = {
    http: new http.Agent({ keepAlive: true }),
    https: new https.Agent({ keepAlive: true }),
  }

  constructor(clock: Clock, timeoutMs = TIMEOUT_MS) {
    this.#clock = clock
    this.#got = got.extend({
      method: 'POST',
      agent: this.#agents,
      headers: { 'content-type': 'application/cloudevents+json; charset=utf-8', 'user-agent': 'curfew' },
      timeout: { request: timeoutMs },
      retry: { limit: 0 },
      // Where it leads, nobody has said that this may be told.
      followRedirect: false,
      throwHttpErrors: false,
      // Uncompressed, so that the size limit holds for what arrives.
      decompress: false,
    })
  }

  /** Never rejects; undefined where `signal` aborted before there was an answer. */
  async deliver(receiver: Receiver, message: Message, signal: AbortSignal): Promise<Delivered | undefined> {
    const startedAt = this.#clock.now()
    const beganAt = performance.now()
    const { response, said, error } = await this.#post(receiver, message, signal)
    if (!response && signal.aborted) return undefined
    const status = response?.statusCode ?? null
    return {
      startedAt,
      durationMs: Math.round(performance.now() - beganAt),
      status,
      error: status === null ? error : errorOf(status),
      answer: storable(said.subarray(0, MOST_KEPT_BYTES).toString('utf8')).slice(0, MOST_KEPT_BYTES),
      retryAfterMs: response ? parseRetryAfter(response.headers, this.#clock.now()) : undefined,
    }
  }

  /** The status decides; of what comes behind it only the beginning is read, and not for longer than a try may take. */
  async #post({ url, secrets }: Receiver, message: Message, signal: AbortSignal): Promise<Posted> {
    const posted: Posted = { response: undefined, said: Buffer.alloc(0), error: null }
    try {
      const stream = this.#got.stream(url, {
        body: message.body,
        headers: {
          ...signed(secrets, message),
          ...(message.traceparent ? { traceparent: nextSpan(message.traceparent) } : {}),
        },
        signal,
      })
      stream.once('response', (response: Response) => {
        posted.response = response
      })
      for await (const chunk of stream) {
        posted.said = Buffer.concat([posted.said, chunk])
        if (posted.said.length >= MOST_READ_BYTES) break
      }
    } catch (error) {
      posted.error = reasonOf(error)
    }
    return posted
  }

  close(): void {
    this.#agents.http.destroy()
    this.#agents.https.destroy()
  }
}

interface Posted {
  response: Response | undefined
  said: Buffer
  error: string | null
}

/** By the real clock, as the library of whoever verifies it does. */
function signed(secrets: string[], { id, body }: Message): Record<string, string> {
  const now = new Date(systemClock.now())
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, now, body)).join(' '),
  }
}

function errorOf(status: number): string | null {
  if (status >= 200 && status < 300) return null
  if (status >= 300 && status < 400) return `answered ${status}; redirects are not followed`
  return `answered ${status}`
}

// got's own messages name the URL, and that may hold secrets.
function reasonOf(error: unknown): string {
  if (error instanceof TimeoutError) return `no answer in time (${error.event})`
  if (error instanceof RequestError) return `no answer: ${error.code}`
  return `no answer: ${error instanceof Error ? error.name : 'unknown'}`
}
