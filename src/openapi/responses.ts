import { PROBLEMS, type ProblemCode } from '../problem.ts'
import { EXAMPLES } from './examples.ts'
import type { AnswerHeader, Operation } from './operation.ts'

const PROBLEM_TYPE = 'application/problem+json'
const CODES = Object.keys(PROBLEMS) as ProblemCode[]

/** Mistakes that any request may make, and troubles that it may meet. */
export const COMMON: ProblemCode[] = [
  'bad-request',
  'request-timeout',
  'invalid',
  'headers-too-large',
  'internal',
  'shutting-down',
]

/** By code, what is named once in the document and referred to wherever it may be answered. */
export function problemResponses() {
  return Object.fromEntries(CODES.map((code) => [code, responseOf([code])]))
}

export function problemExamples() {
  return Object.fromEntries(
    CODES.map((code) => [code, { summary: PROBLEMS[code][1], value: EXAMPLES.problems[code] }]),
  )
}

/** Every status that an operation answers with when something is wrong: several mistakes may share one. */
export function refusalsOf({ problems }: Operation) {
  const possible = CODES.filter((code) => problems.includes(code) || COMMON.includes(code))
  const byStatus = Object.groupBy(possible, (code) => PROBLEMS[code][0])
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, codes = []]) => [
      status,
      codes.length === 1 ? { $ref: `#/components/responses/${codes[0]}` } : responseOf(codes),
    ]),
  )
}

function responseOf(codes: ProblemCode[]) {
  const types = codes.map((code) => `urn:curfew:problem:${code}`)
  const schema = {
    allOf: [
      { $ref: '#/components/schemas/Problem' },
      { type: 'object', properties: { type: { type: 'string', enum: types } } },
    ],
  }
  const examples = Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/${code}` }]))
  return {
    description: codes.map((code) => `${PROBLEMS[code][1]} (\`${code}\`).`).join(' '),
    headers: headersOf(headersBeside(PROBLEMS[codes[0] as ProblemCode][0])),
    content: { [PROBLEM_TYPE]: { schema, examples } },
  }
}

const BESIDE: Record<number, AnswerHeader> = {
  401: 'WWW-Authenticate',
  405: 'Allow',
  409: 'Retry-After',
  429: 'Retry-After',
  503: 'Retry-After',
}
function headersBeside(status: number): AnswerHeader[] {
  const header = BESIDE[status]
  return header ? [header] : []
}

/** The id of the request stands on every answer. */
export function headersOf(names: AnswerHeader[]) {
  return Object.fromEntries(
    ['x-request-id' as const, ...names].map((name) => [name, { $ref: `#/components/headers/${name}` }]),
  )
}
