import { type Static, Type } from 'typebox'

/** RFC 9457, with the request's id as `instance` and, for validation, where each mistake is. */
export const ProblemDocument = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String(),
  instance: Type.String(),
  errors: Type.Optional(Type.Array(Type.Object({ pointer: Type.String(), detail: Type.String() }))),
})
export type ProblemDocument = Static<typeof ProblemDocument>
export type Mistake = NonNullable<ProblemDocument['errors']>[number]

export const PROBLEMS = {
  'bad-request': [400, 'The request cannot be understood'],
  unauthorized: [401, 'What proves who asks is missing or wrong'],
  forbidden: [403, 'This caller may not do that'],
  'not-found': [404, 'There is nothing here'],
  'method-not-allowed': [405, 'This method is not allowed here'],
  'request-timeout': [408, 'The request took too long to arrive'],
  'not-pending': [409, 'The ending is no longer pending'],
  'not-failed': [409, 'The ending has not failed'],
  'in-progress': [409, 'The ending is being carried out at this moment'],
  'too-many': [409, 'One caller may not keep more than this'],
  'already-told': [409, 'The notification was told already'],
  'not-paused': [409, 'Nothing is paused here'],
  'key-taken': [409, 'Another pending ending has the same key'],
  'upstream-unavailable': [503, 'Digital Samba cannot be asked just now'],
  'body-too-large': [413, 'The body is too large'],
  'path-too-long': [414, 'The path is too long'],
  'unsupported-media-type': [415, 'This content type is not understood here'],
  invalid: [422, 'The request is not valid'],
  'too-many-requests': [429, 'Too many requests in too short a time'],
  'idempotency-mismatch': [422, 'This Idempotency-Key was used for another request'],
  'headers-too-large': [431, 'The headers are too large'],
  internal: [500, 'Something went wrong in Curfew'],
  'storage-unavailable': [503, 'The ledger cannot be reached or written now'],
  busy: [503, 'Too many want the same at once'],
  'shutting-down': [503, 'Curfew is shutting down'],
} as const satisfies Record<string, readonly [number, string]>
export type ProblemCode = keyof typeof PROBLEMS

/** An error that is an answer. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly code: ProblemCode
  readonly status: number
  readonly mistakes: Mistake[] | undefined
  /** to go with the answer, in lower case */
  readonly headers: Record<string, string>

  constructor(
    code: ProblemCode,
    detail: string,
    more: { mistakes?: Mistake[]; headers?: Record<string, string> } = {},
  ) {
    super(detail)
    this.code = code
    this.status = PROBLEMS[code][0]
    this.mistakes = more.mistakes
    this.headers = more.headers ?? {}
  }

  document(instance: string): ProblemDocument {
    const { code, status, message: detail, mistakes } = this
    const document = {
      type: `urn:curfew:problem:${code}`,
      title: PROBLEMS[code][1],
      status,
      detail,
      instance,
    }
    return mistakes ? { ...document, errors: mistakes } : document
  }
}

/** A 422 about everything that is wrong; `detail` where the mistakes do not say it all. */
export function allInvalid(mistakes: Mistake[], detail?: string): Problem {
  const all = mistakes.map((mistake) => `${mistake.pointer || 'the body'} ${mistake.detail}`).join('; ')
  return new Problem('invalid', detail ?? all, { mistakes })
}

/** A 422 about one field. `pointer` is a JSON pointer into the body, or to a parameter or header by its name. */
export function invalid(pointer: string, detail: string): Problem {
  return new Problem('invalid', `${pointer} ${detail}`, { mistakes: [{ pointer, detail }] })
}
