import type { EXAMPLES } from '../../src/openapi/examples.ts'
import { OPERATIONS } from '../../src/openapi/operations.ts'
import { PROBLEMS } from '../../src/problem.ts'
import { codeOf } from './conformance.ts'
import type { Exchange } from './recorder.ts'

/** The first good answer of each operation and status, what it was asked with, and the first of each mistake. */
export function examplesOf(exchanges: Exchange[]): typeof EXAMPLES {
  const examples: typeof EXAMPLES = { operations: {}, problems: {} }
  const ids = new Map(
    Object.entries(OPERATIONS).map(([call, { id }]) => [call.replace(/:(\w+)/, '{$1}'), id]),
  )
  for (const { call, request, answer } of exchanges) {
    const { statusCode, headers, body } = answer
    if (!String(headers['content-type']).includes('json')) continue
    const id = ids.get(call)
    if (statusCode >= 400) examples.problems[codeOf(statusCode, body)] ??= JSON.parse(body)
    else if (id !== undefined && id !== 'getDocument') {
      examples.operations[id] ??= { ...sent(request), answers: {} }
      examples.operations[id].answers[statusCode] ??= JSON.parse(body)
    }
  }
  const order = Object.keys(PROBLEMS)
  const problems = Object.entries(examples.problems).sort(([a], [b]) => order.indexOf(a) - order.indexOf(b))
  return { operations: examples.operations, problems: Object.fromEntries(problems) }
}

function sent(request: unknown): { request?: unknown } {
  if (request === undefined) return {}
  return { request: typeof request === 'string' ? JSON.parse(request) : request }
}
