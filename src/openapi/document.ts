import type { TSchema } from 'typebox'
import { Nothing } from '../routes/schemas.ts'
import { Describer, isSame, type Schema } from './described.ts'
import { eventBody, eventSchemas } from './events.ts'
import { EXAMPLES } from './examples.ts'
import { ANSWER_HEADERS, type Operation, REQUEST_HEADERS, type RequestHeader } from './operation.ts'
import { OPERATIONS } from './operations.ts'
import { headersOf, problemExamples, problemResponses, refusalsOf } from './responses.ts'
import { SCHEMAS } from './schemas.ts'
import { securityOf } from './security.ts'
import { webhooks } from './webhooks.ts'

/** The parts of a route's schema that callers see. */
export interface RouteSchema {
  params?: unknown
  querystring?: unknown
  body?: unknown
  response?: unknown
}

/** What it takes to make the document, in the order in which it is asked for. */
export class Writer {
  readonly #describer = new Describer()
  readonly #written = new Set<string>()

  /** Named shapes, as `@fastify/swagger` is given them: with an id that others refer to. */
  shapes(): Schema[] {
    return [...SCHEMAS].map(([name, schema]) => ({ $id: name, ...this.#describer.describe(schema, name) }))
  }

  /** @throws where nothing is said about the route */
  operation(call: string, schema: RouteSchema): Record<string, unknown> {
    const operation = OPERATIONS[call]
    if (!operation) throw new Error(`${call} has no summary: it needs an entry in src/openapi/operations.ts`)
    this.#written.add(call)
    const { id, tag, summary, description } = operation
    const described = (part: unknown) => part && this.#describer.describe(part as TSchema, id)
    const given = (schema.response ?? {}) as Record<string, TSchema>
    const answers = Object.keys(operation.answers).filter((status) => given[status])
    const hasBody = schema.body !== undefined && !isSame(schema.body, Nothing)
    return {
      operationId: id,
      tags: [tag],
      summary,
      ...(description === undefined ? {} : { description }),
      security: securityOf(operation),
      params: described(schema.params),
      querystring: described(schema.querystring),
      ...(hasBody ? { body: described(schema.body) } : {}),
      response: Object.fromEntries(answers.map((status) => [status, described(given[status])])),
    }
  }

  /** The document as it is to be read. @throws where something is not described, or no longer there */
  finish(document: Record<string, unknown>): Record<string, unknown> {
    this.#complain()
    const { components, paths, ...head } = document as {
      components: { schemas: object }
      paths: Record<string, Record<string, Described>>
    }
    const operations = new Map(Object.values(OPERATIONS).map((operation) => [operation.id, operation]))
    for (const described of Object.values(paths).flatMap((path) => Object.values(path)))
      complete(described, operations.get(described.operationId) as Operation)
    return {
      ...head,
      paths: sorted(paths),
      webhooks: webhooks(),
      components: {
        ...components,
        schemas: sorted({ ...components.schemas, ...eventSchemas() }),
        parameters: parameters(),
        headers: ANSWER_HEADERS,
        responses: problemResponses(),
        examples: problemExamples(),
      },
    }
  }

  #complain(): void {
    const { missing, unused } = this.#describer
    const gone = Object.keys(OPERATIONS).filter((call) => !this.#written.has(call))
    const flaws = [
      ...[...missing].map((field) => `${field} has no meaning: it needs a line in src/openapi/fields.ts`),
      ...unused.map(
        (field) => `there is no field ${field} any more: src/openapi/fields.ts has a line about it`,
      ),
      ...gone.map((call) => `there is no ${call} any more: src/openapi/operations.ts has an entry for it`),
    ]
    if (flaws.length > 0) throw new Error(flaws.join('\n'))
  }
}

interface Described {
  operationId: string
  parameters?: unknown[]
  requestBody?: { required: boolean; content: Record<string, object> }
  responses: Record<string, { content?: Record<string, object> }>
}

/** Adds what no schema says: headers, examples, and everything that may go wrong. */
function complete(described: Described, operation: Operation): void {
  const { request, answers: recorded = {} } = EXAMPLES.operations[operation.id] ?? {}
  if (operation.id === 'sendEvents') described.requestBody = structuredClone(eventBody)
  const { requestBody } = described
  if (requestBody) {
    if (operation.bodyOptional) requestBody.required = false
    const [media] = Object.values(requestBody.content)
    if (media && request !== undefined) Object.assign(media, { example: request })
  }
  const headers: RequestHeader[] = ['x-request-id', ...(operation.headers ?? [])]
  described.parameters = [
    ...(described.parameters ?? []),
    ...headers.map((name) => ({ $ref: `#/components/parameters/${name}` })),
  ]
  const answers = Object.entries(operation.answers).map(([status, answer]) => {
    const { says, type } = typeof answer === 'string' ? { says: answer, type: undefined } : answer
    const schema = described.responses[status]?.content?.['application/json']
    const example = recorded[status] === undefined ? {} : { example: recorded[status] }
    const content = type
      ? { [type]: { schema: { type: type === 'application/json' ? 'object' : 'string' } } }
      : schema && { 'application/json': { ...schema, ...example } }
    const named = headersOf(operation.answerHeaders ?? [])
    return [status, { description: says, headers: named, ...(content ? { content } : {}) }]
  })
  described.responses = { ...Object.fromEntries(answers), ...refusalsOf(operation) }
}

function parameters() {
  return Object.fromEntries(
    Object.entries(REQUEST_HEADERS).map(([name, header]) => [
      name,
      { name, in: 'header', required: false, ...header },
    ]),
  )
}

const sorted = <T>(record: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)))
