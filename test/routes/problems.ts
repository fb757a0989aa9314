import type { Test } from 'tap'
import type { ProblemCode, ProblemDocument } from '../../src/problem.ts'

/** What `inject` and a real connection have in common. */
export interface Answered {
  statusCode: number
  headers: Record<string, unknown>
  body: string
}

/** Checks everything a problem must be, and for a 422 exactly which places it names, in any order. */
export function isProblem(
  t: Test,
  { statusCode, headers, body }: Answered,
  status: number,
  code: ProblemCode,
  pointers?: string[],
): ProblemDocument {
  const problem: ProblemDocument = JSON.parse(body)
  const { title, detail, instance, errors, ...rest } = problem
  t.equal(statusCode, status, `status ${status}: ${body.slice(0, 300)}`)
  t.match(headers['content-type'], /^application\/problem\+json/)
  t.same(
    rest,
    { type: `urn:curfew:problem:${code}`, status },
    'type, status, and nothing that is not documented',
  )
  t.ok(typeof title === 'string' && title.length > 0, 'has a title')
  t.ok(typeof detail === 'string' && detail.length > 0, 'has a detail')
  t.equal(instance, headers['x-request-id'], 'instance is the id of the request')
  t.same(errors?.map(({ pointer }) => pointer).sort(), pointers && [...pointers].sort(), 'names the places')
  t.ok(errors?.every((mistake) => mistake.detail.length > 0) ?? true, 'says what would be right')
  return problem
}
