import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { parseTime } from '../../src/time.ts'
import type { Answered } from '../routes/problems.ts'

type Json = Record<string, unknown>
export interface Parameter {
  $ref?: string
  name: string
  in: 'path' | 'query' | 'header'
  required?: boolean
  schema: Json
}
export interface Operation {
  operationId: string
  parameters: Parameter[]
  security: Record<string, string[]>[]
  requestBody?: { required: boolean; content: Record<string, { schema: Json; example?: unknown }> }
  responses: Record<string, Response>
}
interface Response {
  $ref?: string
  headers: Record<string, { $ref: string }>
  content?: Record<string, { schema: Json; example?: unknown }>
}
export interface Document {
  paths: Record<string, Record<string, Operation>>
  components: Record<'schemas' | 'responses' | 'headers' | 'parameters' | 'examples', Record<string, Json>>
}

const step = (text: string) => encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'))

/** Holds answers against the document, and remembers which of what it promises has been seen. */
export class Conformance {
  readonly document: Document
  readonly seen = new Set<string>()
  readonly #ajv: Ajv2020
  readonly #checks = new Map<string, ValidateFunction>()

  constructor(document: Document) {
    this.document = document
    this.#ajv = new Ajv2020({
      strict: false,
      formats: { 'date-time': (text: string) => parseTime(text) !== undefined },
    })
    this.#ajv.addSchema({ $id: 'api', ...document })
  }

  /** Every operation, by its method and path. */
  operations(): [call: string, operation: Operation][] {
    return Object.entries(this.document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, one]): [string, Operation] => [
        `${method.toUpperCase()} ${path}`,
        one,
      ]),
    )
  }

  /** What an answer has that the document does not say; nothing where all is well. */
  flaws(call: string, { statusCode, headers, body }: Answered): string[] {
    const [method = '', path = ''] = call.split(' ')
    const operation = this.document.paths[path]?.[method.toLowerCase()]
    const where = `#/paths/${step(path)}/${method.toLowerCase()}/responses/${statusCode}`
    const told = operation?.responses[statusCode]
    if (!told) return [`${call} answers ${statusCode}, which is not documented: ${body.slice(0, 200)}`]
    const [at, response] = told.$ref ? [told.$ref, this.#named(told.$ref)] : [where, told]
    this.seen.add(`${operation?.operationId} ${statusCode} ${codeOf(statusCode, body)}`)
    // What is not even HTTP has no id.
    const isRequest = !body.includes('"instance":"none"')
    const headerFlaws = isRequest ? this.#headerFlaws(response, headers) : []
    const flaws = [...headerFlaws, ...this.#bodyFlaws(at, response, headers, body)]
    return flaws.map((flaw) => `${call} ${statusCode}: ${flaw}`)
  }

  /** As `flaws`, where no operation was asked. */
  refusalFlaws(code: string, { headers, body }: Answered): string[] {
    this.seen.add(code)
    const at = `#/components/responses/${code}`
    return this.#bodyFlaws(at, this.#named(at), headers, body)
  }

  /** What is wrong with a value under a schema that stands at a JSON pointer of the document. */
  mistakes(at: string, value: unknown): string[] {
    const check = this.#checks.get(at) ?? this.#ajv.compile({ $ref: `api${at}` })
    this.#checks.set(at, check)
    return check(value) ? [] : [this.#ajv.errorsText(check.errors)]
  }

  #named(ref: string): Response {
    return this.document.components.responses[ref.split('/').at(-1) as string] as unknown as Response
  }

  #headerFlaws({ headers: told }: Response, headers: Answered['headers']): string[] {
    const missing = headers['x-request-id'] === undefined ? ['no x-request-id'] : []
    const wrong = Object.keys(told).flatMap((name) => {
      const value = headers[name.toLowerCase()]
      return value === undefined ? [] : this.mistakes(`#/components/headers/${name}/schema`, value)
    })
    return [...missing, ...wrong]
  }

  #bodyFlaws(at: string, { content }: Response, headers: Answered['headers'], body: string): string[] {
    if (!content) return body === '' ? [] : [`a body that is not documented: ${body.slice(0, 200)}`]
    const type = String(headers['content-type']).split(';', 1)[0] as string
    if (!content[type]) return [`a content type that is not documented: ${type}`]
    const value = type.endsWith('json') ? JSON.parse(body) : body
    return this.mistakes(`${at}/content/${step(type)}/schema`, value).map(
      (flaw) => `${flaw} ${body.slice(0, 300)}`,
    )
  }
}

/** The last word of a problem's type. */
export function codeOf(statusCode: number, body: string): string {
  return statusCode < 400 ? '' : String(JSON.parse(body).type).replace('urn:curfew:problem:', '')
}
