import http from 'node:http'
import https from 'node:https'
import got, { type Got, RequestError, TimeoutError } from 'got'
import pRetry from 'p-retry'
import type { Clock } from '../clock.ts'
import { nextSpan } from '../traceparent.ts'
import {
  isStartKnown,
  type ListedSession,
  type OneSession,
  type Page,
  parseRetryAfter,
  readErrorBody,
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

type Operation = 'end' | 'session' | 'sessions' | 'room-sessions' | 'chat'

/** One HTTP call that was made, told whatever came of it. `startedAt` is epoch ms. */
export interface CallMade {
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
  onCall: (call: CallMade) => void
  /** W3C trace context that the calls belong to: each is a span of its own in it. */
  traceparent?: string | undefined
}

export interface ClientOptions {
  url: string
  credentials: Credentials
  clock: Clock
  /** for one call, ms */
  timeoutMs: number
  /** Told of sessions in a list that cannot be used, or not wholly: those without an id, or without a start. */
  onOdd?: (odd: OddSessions) => void
}

/** What was odd about a page: how many sessions had no id, and which had no start. */
export interface OddSessions {
  operation: Operation
  nameless: number
  withoutStart: string[]
}

interface Asked<T> {
  operation: Operation
  method: 'GET' | 'POST'
  path: string
  query?: Record<string, string>
  json?: object
  tries?: 1
  /** of the body of a 2xx; throws MalformedAnswerError where that makes no sense */
  read: (body: string) => T
}

// Made once, for an error takes its stack down.
const GIVEN_UP = new Error('given up')
const TOO_LARGE = new Error('too large')

const PAGE = 100
// More live sessions than that in one room, or in a team, there are not: such a list has no end.
const MOST_PAGES = { room: 10, team: 200 }
// A page of 100 sessions is some 50 KB. A proxy's download page, or an attack, is not.
const LARGEST_ANSWER_BYTES = 1024 * 1024
// The tries and their pauses (200 to 400, then 400 to 800 ms) fit within about a second.
const HICCUPS = { retries: 2, minTimeout: 200, factor: 2, randomize: true }

/** Digital Samba's REST API, as far as it is needed. Every method rejects with a DigitalSambaError or what `admit` threw. */
export class DigitalSamba {
  readonly #got: Got
  readonly #clock: Clock
  readonly #scrub: (text: string) => string
  readonly #onOdd: NonNullable<ClientOptions['onOdd']>
  readonly #agents = {
    http: new http.Agent({ keepAlive: true }),
    https: new https.Agent({ keepAlive: true }),
  }

  constructor({ url, credentials, clock, timeoutMs, onOdd = () => {} }: ClientOptions) {
    this.#clock = clock
    this.#onOdd = onOdd
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
    await this.#call({ operation: 'end', method: 'POST', path, read: nothing }, context)
  }

  async session(session: string, context: CallContext): Promise<OneSession> {
    const path = `api/v1/sessions/${encodeURIComponent(session)}`
    const read = (body: string) => readSession(session, parseJson(body))
    return this.#call({ operation: 'session', method: 'GET', path, read }, context)
  }

  /**
   * Writes into the chat of what is live in a room (UUID or friendly URL). Tried once: whether an attempt that broke
   * off was read cannot be known, and the same message twice annoys.
   */
  async chat(room: string, message: string, context: CallContext): Promise<void> {
    const path = `api/v1/rooms/${encodeURIComponent(room)}/chat`
    const chat = {
      operation: 'chat',
      method: 'POST',
      path,
      json: { message },
      tries: 1,
      read: nothing,
    } as const
    await this.#call(chat, context)
  }

  /**
   * The live sessions of a room (UUID or friendly URL), or of the whole team, page by page, each once. Throws
   * MalformedAnswerError where a page brings nothing new, or the list has no end. `onNameless` is told of pages with
   * sessions that have no id, and are left out.
   */
  async *liveSessions(
    room: string | undefined,
    context: CallContext,
    onNameless: () => void = () => {},
  ): AsyncGenerator<ListedSession[]> {
    const seen = new Set<string>()
    const most = room === undefined ? MOST_PAGES.team : MOST_PAGES.room
    let after: string | undefined
    for (let page = 1; page === 1 || after !== undefined; page += 1) {
      if (page > most) throw new MalformedAnswerError(`answered a list without end (over ${most} pages)`)
      const { ids, sessions, nameless, next } = await this.livePage(room, after, context)
      if (nameless > 0) onNameless()
      const fresh = new Set(ids.filter((id) => !seen.has(id)))
      if (ids.length > 0 && fresh.size === 0)
        throw new MalformedAnswerError('answered a page that brings nothing new')
      for (const id of fresh) seen.add(id)
      yield sessions.filter(({ id }) => fresh.has(id))
      after = next
    }
  }

  /**
   * One page, oldest first, from behind the session `after`: where sessions end meanwhile, an offset would skip as
   * many that live on. `next` is what the next page comes after.
   */
  async livePage(
    room: string | undefined,
    after: string | undefined,
    context: CallContext,
  ): Promise<Page & { next: string | undefined }> {
    const path = room === undefined ? 'api/v1/sessions' : `api/v1/rooms/${encodeURIComponent(room)}/sessions`
    const operation = room === undefined ? 'sessions' : 'room-sessions'
    const query = {
      live: 'true',
      limit: String(PAGE),
      order: 'asc',
      ...(after === undefined ? {} : { after }),
    }
    const read = (body: string) => readPage(parseJson(body))
    const page = await this.#call({ operation, method: 'GET', path, query, read }, context)
    const withoutStart = page.sessions.filter((session) => !isStartKnown(session)).map(({ id }) => id)
    if (page.nameless > 0 || withoutStart.length > 0)
      this.#onOdd({ operation, nameless: page.nameless, withoutStart })
    return { ...page, next: page.size < PAGE ? undefined : page.last }
  }

  close(): void {
    this.#agents.http.destroy()
    this.#agents.https.destroy()
  }

  #call<T>(asked: Asked<T>, context: CallContext): Promise<T> {
    let failed: DigitalSambaError | undefined
    let held: unknown
    const once = async () => {
      try {
        await context.admit()
      } catch (error) {
        held = error
        throw error
      }
      const startedAt = this.#clock.now()
      const outcome = await this.#request(asked, context).catch(asError)
      const error = outcome instanceof DigitalSambaError ? outcome : undefined
      const durationMs = this.#clock.now() - startedAt
      context.onCall({ operation: asked.operation, startedAt, durationMs, status: outcome.status, error })
      failed = error
      if (outcome instanceof DigitalSambaError) throw outcome
      return outcome.answer
    }
    const shouldRetry = ({ error }: { error: Error }) =>
      asked.tries !== 1 && error instanceof DigitalSambaError && error.hiccup
    return pRetry(once, { ...HICCUPS, shouldRetry, signal: context.signal }).catch((error: unknown) => {
      // A further try that may not be made leaves the call as the one before it left it.
      if (held !== undefined && !context.signal.aborted && !(held instanceof AbortedCallError))
        throw failed ?? held
      if (context.signal.aborted && !(error instanceof DigitalSambaError))
        throw new AbortedCallError('given up before it was answered')
      throw error
    })
  }

  async #request<T>({ method, path, query, json, read }: Asked<T>, { signal, traceparent }: CallContext) {
    const own = new AbortController()
    // AbortSignal.any would hang one more signal on one that lives long, with every call.
    const cut = () => own.abort(GIVEN_UP)
    signal.addEventListener('abort', cut, { once: true })
    if (signal.aborted) cut()
    const request = this.#got(path, {
      method,
      ...(query ? { searchParams: query } : {}),
      ...(json ? { json } : {}),
      ...(traceparent ? { headers: { traceparent: nextSpan(traceparent) } } : {}),
      signal: own.signal,
    })
    request.on('downloadProgress', ({ transferred }) => {
      if (transferred > LARGEST_ANSWER_BYTES) own.abort(TOO_LARGE)
    })
    const { statusCode, headers, body }: Received = await request
      .catch((error: unknown) => {
        if (own.signal.reason === TOO_LARGE) throw new MalformedAnswerError('answered more than 1 MiB')
        if (own.signal.aborted) throw new AbortedCallError('given up before it was answered')
        throw error
      })
      .finally(() => signal.removeEventListener('abort', cut))
    // Packed, though nobody asked for that: got leaves it as bytes.
    if (typeof body !== 'string')
      throw new MalformedAnswerError('answered in an encoding that was not asked for', { status: statusCode })
    if (statusCode >= 200 && statusCode < 300)
      return { status: statusCode, answer: readAs(statusCode, body, read) }
    const said = readErrorBody(body)
    throw errorForStatus(
      statusCode,
      { ...said, message: this.#scrub(said.message) },
      parseRetryAfter(headers, this.#clock.now()),
    )
  }
}

interface Received {
  statusCode: number
  headers: Record<string, unknown>
  body: unknown
}

function readAs<T>(status: number, body: string, read: (body: string) => T): T {
  try {
    return read(body)
  } catch (error) {
    if (error instanceof MalformedAnswerError)
      throw new MalformedAnswerError(error.message, { status, cause: error.cause })
    throw error
  }
}

/** There is no content to return, say the documents; a login page that answers 200 has some. */
function nothing(body: string): void {
  if (body.trim() !== '') parseJson(body)
}

// Only got's code and the system's own error are taken over: got's holds the request, and that the credentials.
export function asError(error: unknown): DigitalSambaError {
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
