import got from 'got'
import type { Clock } from '../clock.ts'
import { asError } from './client.ts'
import { authorization, type Credentials } from './credentials.ts'
import { MalformedAnswerError } from './errors.ts'

/** What Digital Samba told somebody who only wants to know how things are. Times are epoch ms. */
export interface Told {
  status: number
  /** undefined where the body is no JSON */
  json: unknown
  askedAt: number
  answeredAt: number
  /** its own time, to the second; undefined where it does not say */
  date: number | undefined
  retryAfter: string | undefined
}

export interface Question {
  credentials: Credentials
  path: string
  method?: 'GET' | 'POST' | 'PATCH'
  query?: Record<string, string>
  json?: object
}

const LARGEST_ANSWER_BYTES = 1024 * 1024

/** Calls beside the budget, one by one, without a retry: few, and made by a person. */
export class Inquiry {
  readonly #url: string
  readonly #timeoutMs: number
  readonly #clock: Clock

  constructor({ url, timeoutMs, clock }: { url: string; timeoutMs: number; clock: Clock }) {
    this.#url = url
    this.#timeoutMs = timeoutMs
    this.#clock = clock
  }

  /** Rejects with a DigitalSambaError where there is no answer. */
  async ask({ credentials, path, method = 'GET', query, json }: Question): Promise<Told> {
    const own = new AbortController()
    const askedAt = this.#clock.now()
    const request = got(path, {
      prefixUrl: this.#url,
      method,
      headers: {
        authorization: authorization(credentials),
        accept: 'application/json',
        'user-agent': 'curfew',
      },
      ...(query ? { searchParams: query } : {}),
      ...(json ? { json } : {}),
      timeout: { request: this.#timeoutMs },
      retry: { limit: 0 },
      followRedirect: false,
      throwHttpErrors: false,
      decompress: false,
      responseType: 'text',
      signal: own.signal,
    })
    request.on('downloadProgress', ({ transferred }) => {
      if (transferred > LARGEST_ANSWER_BYTES) own.abort()
    })
    const { statusCode, headers, body } = await request.catch((error: unknown) => {
      throw own.signal.aborted ? new MalformedAnswerError('answered more than 1 MiB') : asError(error)
    })
    const date = Date.parse(headers.date ?? '')
    return {
      status: statusCode,
      json: parsed(body),
      askedAt,
      answeredAt: this.#clock.now(),
      date: Number.isNaN(date) ? undefined : date,
      retryAfter: headers['retry-after'],
    }
  }
}

function parsed(body: unknown): unknown {
  try {
    return JSON.parse(String(body))
  } catch {
    return undefined
  }
}
