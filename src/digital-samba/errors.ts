/**
 * What Digital Samba, or the way to it, answered instead of what was asked for. Decided once, here: whether it is a
 * hiccup (worth another try within the second) and whether time may mend it (`temporary`).
 * No error carries a request, its headers or a response: credentials stand in them.
 */
export class DigitalSambaError extends Error {
  override readonly name: string = 'DigitalSambaError'
  readonly code: string = 'DIGITAL_SAMBA'
  readonly temporary: boolean = true
  readonly hiccup: boolean = false
  /** Digital Samba did not answer, or not as itself: that says nothing about what was asked. */
  readonly outage: boolean = false
  /** HTTP status; null where there was no answer. */
  readonly status: number | null
  /** How long it asked to be left alone (ms); undefined where it did not say. */
  readonly retryAfterMs: number | undefined

  constructor(
    message: string,
    about: { status?: number; retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, about.cause === undefined ? undefined : { cause: about.cause })
    this.status = about.status ?? null
    this.retryAfterMs = about.retryAfterMs
  }
}

/** 401: the credentials are missing or wrong. Nobody's request is at fault. */
export class UnauthorizedError extends DigitalSambaError {
  override readonly name = 'UnauthorizedError'
  override readonly code = 'UNAUTHORIZED'
}

/** 403: the key may not do this. */
export class ForbiddenError extends DigitalSambaError {
  override readonly name = 'ForbiddenError'
  override readonly code = 'FORBIDDEN'
  override readonly temporary = false
}

/** 404, in Digital Samba's own words: no such session or room, or another team's. */
export class NotFoundError extends DigitalSambaError {
  override readonly name = 'NotFoundError'
  override readonly code = 'NOT_FOUND'
  override readonly temporary = false
}

/** 409 and 422: not in this state. Which of them an ended session gets is documented in two ways. */
export class WrongStateError extends DigitalSambaError {
  override readonly name = 'WrongStateError'
  override readonly code = 'WRONG_STATE'
}

/** 429: the whole team has used up its calls; `retryAfterMs` says for how long. */
export class RateLimitedError extends DigitalSambaError {
  override readonly name = 'RateLimitedError'
  override readonly code = 'RATE_LIMITED'
}

/** Any other 4xx, in Digital Samba's own words. */
export class RejectedError extends DigitalSambaError {
  override readonly name = 'RejectedError'
  override readonly code = 'REJECTED'
  override readonly temporary = false
}

/** 5xx: theirs. A gateway's 502, 503 and 504 are often over within the second. */
export class UnavailableError extends DigitalSambaError {
  override readonly name = 'UnavailableError'
  override readonly code = 'UNAVAILABLE'
  override readonly outage = true
  override readonly hiccup: boolean

  constructor(message: string, about: { status: number; retryAfterMs?: number | undefined }) {
    super(message, about)
    this.hiccup = [502, 503, 504].includes(about.status) && (about.retryAfterMs ?? 0) <= 1000
  }
}

/** An answer that makes no sense: a redirect, a proxy's page, not JSON, other JSON than documented, too large. */
export class MalformedAnswerError extends DigitalSambaError {
  override readonly name = 'MalformedAnswerError'
  override readonly code = 'MALFORMED_ANSWER'
  override readonly outage = true
}

/** Refused, reset, broken off, unresolvable. */
export class NetworkError extends DigitalSambaError {
  override readonly name: string = 'NetworkError'
  override readonly code: string = 'NETWORK'
  override readonly outage = true
  override readonly hiccup = true
}

/** No complete answer within the time allowed for one call. */
export class CallTimeoutError extends NetworkError {
  override readonly name = 'CallTimeoutError'
  override readonly code = 'TIMEOUT'
}

/** The caller gave up waiting (its own deadline, or a shutdown); whether the call was carried out is not known. */
export class AbortedCallError extends DigitalSambaError {
  override readonly name = 'AbortedCallError'
  override readonly code = 'ABORTED'
}

/** What the body of an error says; see `readErrorBody`. */
export interface ErrorBody {
  message: string
  /** it is not Digital Samba's */
  isForeign: boolean
  /** in so many words */
  isNotFound: boolean
}

/**
 * The error that stands for a status other than 2xx. 401, 429 and 5xx are taken at their word. Any other 4xx counts
 * only where no proxy has said it, and that something is not there only where Digital Samba says so in so many words.
 */
export function errorForStatus(
  status: number,
  { message: said, isForeign, isNotFound }: ErrorBody,
  retryAfterMs?: number,
): DigitalSambaError {
  const message = said ? `answered ${status}: ${said}` : `answered ${status}`
  const about = { status, retryAfterMs }
  if (status === 401) return new UnauthorizedError(message, about)
  if (status === 429) return new RateLimitedError(message, about)
  if (status >= 500) return new UnavailableError(message, about)
  if (status < 400) return new MalformedAnswerError(message, about)
  if (isForeign || (status === 404 && !isNotFound))
    return new MalformedAnswerError(`${message}, which is not Digital Samba's own`, about)
  if (status === 403) return new ForbiddenError(message, about)
  if (status === 404) return new NotFoundError(message, about)
  return status === 409 || status === 422
    ? new WrongStateError(message, about)
    : new RejectedError(message, about)
}
