import http from 'node:http'
import https from 'node:https'
import got, { type Got, RequestError, TimeoutError } from 'got'
import pRetry from 'p-retry'
import type { Clock } from '../clock.ts'
import {
  type LiveSession,
  type OneSession,
  parseRetryAfter,
  readMessage,
  readPage,
  readSession,
} from './answers.ts'
import { authorization, type Credentials, scrubber } from './credentials.ts'
import {
  AbortedCallError,
  CallTimeoutError,
  DigitalSambaError,
  errorForStatus,
  MalformedAnswerError,
  NetworkError,
} from './errors.ts'

export type Operation = 'end' | 'session' | 'sessions' | 'room-sessions' | 'chat'

/** One HTTP call that was made, told whatever came of it. `startedAt` is epoch ms. */
export interface MadeCall {
  operation: Operation
  startedAt: number
  durationMs: number
  status: number | null
  error: DigitalSambaError | undefined
}

/** What somebody who makes calls brings along. */
export interface CallContext {
  signal: AbortSignal
  /** Waits until one call may leave; throws where none may. Asked before every try. */
  admit: () => Promise<void>
  /** Told of every try, before the next one. */
  made: (call: MadeCall) => void
}

export interface ClientOptions {
  url: string
  credentials: Credentials
  clock: Clock
  /** for one call, ms */
  timeoutMs: number
}

interface Asked {
  operation: Operation
  method: 'GET' | 'POST'
  path: string
  query?: Record<string, string>
  json?: object
  tries?: 1
}

const PAGE = 100
// A page of 100 sessions is some 50 KB. A proxy's download page, or an attack, is not.
const LARGEST_ANSWER_BYTES = 1024 * 1024
// The tries and their pauses (200 to 400, then 400 to 800 ms) fit within about a second.
const HICCUPS = { retries: 2, minTimeout: 200, factor: 2, randomize: true }

/** Digital Samba's REST API, as far as it is needed. Every method rejects with a DigitalSambaError or what `admit` threw. */
export class DigitalSamba {
  readonly #got: Got
  readonly #clock: Clock
  readonly #scrub: (text: string) => string
  readonly #agents = {
    http: new http.Agent({ keepAlive: true }),
    https: new https.Agent({ keepAlive: true }),
  }

  constructor({ url, credentials, clock, timeoutMs }: ClientOptions) {
    this.#clock = clock
    this.#scrub = scrubber(credentials)
    this.#got = got.extend({
      prefixUrl: url,
      agent: this.#agents,
      headers: {
        authorization: authorization(credentials),
        accept: 'application/json',
        'user-agent': 'curfew',
      },
      timeout: { request: timeoutMs },
      // Retries are counted against the budget, so they are ours. A redirect leads to a login page that answers 200.
      retry: { limit: 0 },
      followRedirect: false,
      throwHttpErrors: false,
      // Uncompressed, so that the size limit holds for what arrives.
      decompress: false,
      responseType: 'text',
    })
  }

  /** Ends a live session and sends everybody in it home. */
  async end(session: string, context: CallContext): Promise<void> {
    const path = `api/v1/sessions/${encodeURIComponent(session)}/end`
    await this.#call({ operation: 'end', method: 'POST', path }, context)
  }

  async session(session: string, context: CallContext): Promise<OneSession> {
    const path = `api/v1/sessions/${encodeURIComponent(session)}`
    return readSession(
      session,
      parseJson(await this.#call({ operation: 'session', method: 'GET', path }, context)),
    )
  }

  /**
   * Writes into the chat of what is live in a room (UUID or friendly URL). Tried once: whether an attempt that broke
   * off was read cannot be known, and the same message twice annoys.
   */
  async chat(room: string, message: string, context: CallContext): Promise<void> {
    const path = `api/v1/rooms/${encodeURIComponent(room)}/chat`
    await this.#call({ operation: 'chat', method: 'POST', path, json: { message }, tries: 1 }, context)
  }

  /** The live sessions of a room (UUID or friendly URL), or of the whole team, page by page. */
  async *liveSessions(room: string | undefined, context: CallContext): AsyncGenerator<LiveSession[]> {
    let after: string | undefined
    do {
      const { sessions, next } = await this.livePage(room, after, context)
      if (next !== undefined && next === after) throw new MalformedAnswerError('answered the same page twice')
      yield sessions
      after = next
    } while (after !== undefined)
  }

  /**
   * One page, oldest first, from behind the session `after`: where sessions end meanwhile, an offset would skip as
   * many that live on. `next` is what the next page comes after.
   */
  async livePage(room: string | undefined, after: string | undefined, context: CallContext) {
    const path = room === undefined ? 'api/v1/sessions' : `api/v1/rooms/${encodeURIComponent(room)}/sessions`
    const operation = room === undefined ? 'sessions' : 'room-sessions'
    const query = {
      live: 'true',
      limit: String(PAGE),
      order: 'asc',
      ...(after === undefined ? {} : { after }),
    }
    const { size, last, sessions } = readPage(
      parseJson(await this.#call({ operation, method: 'GET', path, query }, context)),
    )
    return { sessions, next: size < PAGE ? undefined : last }
  }

  close(): void {
    this.#agents.http.destroy()
    this.#agents.https.destroy()
  }

  #call(asked: Asked, context: CallContext): Promise<string> {
    const once = async () => {
      await context.admit()
      const startedAt = this.#clock.now()
      const outcome = await this.#request(asked, context.signal).catch(asError)
      const error = outcome instanceof DigitalSambaError ? outcome : undefined
      const durationMs = this.#clock.now() - startedAt
      context.made({ operation: asked.operation, startedAt, durationMs, status: outcome.status, error })
      if (outcome instanceof DigitalSambaError) throw outcome
      return outcome.body
    }
    const shouldRetry = ({ error }: { error: Error }) =>
      asked.tries !== 1 && error instanceof DigitalSambaError && error.hiccup
    return pRetry(once, { ...HICCUPS, shouldRetry, signal: context.signal }).catch((error: unknown) => {
      if (context.signal.aborted && !(error instanceof DigitalSambaError))
        throw new AbortedCallError('given up before it was answered')
      throw error
    })
  }

  async #request({ method, path, query, json }: Asked, signal: AbortSignal) {
    const tooLarge = new AbortController()
    const request = this.#got(path, {
      method,
      ...(query ? { searchParams: query } : {}),
      ...(json ? { json } : {}),
      signal: AbortSignal.any([signal, tooLarge.signal]),
    })
    request.on('downloadProgress', ({ transferred }) => {
      if (transferred > LARGEST_ANSWER_BYTES) tooLarge.abort()
    })
    const { statusCode, headers, body } = await request.catch((error: unknown) => {
      if (tooLarge.signal.aborted) throw new MalformedAnswerError('answered more than 1 MiB')
      if (signal.aborted) throw new AbortedCallError('given up before it was answered')
      throw error
    })
    if (statusCode >= 200 && statusCode < 300) return { status: statusCode, body }
    const retryAfterMs = parseRetryAfter(headers, this.#clock.now())
    throw errorForStatus(statusCode, this.#scrub(readMessage(body)), retryAfterMs)
  }
}

// Only got's code and the system's own error are taken over: got's holds the request, and that the credentials.
function asError(error: unknown): DigitalSambaError {
  if (error instanceof DigitalSambaError) return error
  if (error instanceof TimeoutError)
    return new CallTimeoutError(`no answer in time (${error.event})`, { cause: error.cause })
  if (error instanceof RequestError)
    return new NetworkError(`no answer: ${error.code}`, { cause: error.cause })
  throw error
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch (cause) {
    throw new MalformedAnswerError('answered something that is not JSON', { cause: (cause as Error).name })
  }
}
