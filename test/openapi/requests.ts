import fc from 'fast-check'
import type { Conformance, Operation, Parameter } from './conformance.ts'

type Json = Record<string, unknown>
type Schemas = Record<string, Json>

/** A request as somebody might make it who has read the document, or who has not understood it. */
export interface Made {
  call: string
  url: string
  headers: Record<string, string>
  body: string | undefined
}

export interface Known {
  /** ids and names that mean something to the service, by the name of the parameter or field */
  names: Record<string, string[]>
  /** what Authorization may hold */
  keys: string[]
  /** what Digital Samba's holds */
  secret: string
  now: number
}

/** Any request of any operation: mostly as its schemas say, and now and then with a part that is anything. */
export function requests(conformance: Conformance, known: Known): fc.Arbitrary<Made> {
  const { schemas, parameters } = conformance.document.components
  const made = new Values(schemas, known)
  const operations = conformance.operations().map(([call, operation]) => {
    const named = operation.parameters.map(({ $ref, ...own }) =>
      $ref ? (parameters[$ref.split('/').at(-1) as string] as unknown as Parameter) : own,
    )
    return requestOf(call, operation, named as Parameter[], made, known)
  })
  return fc.oneof(...operations)
}

function requestOf(
  call: string,
  { requestBody, security }: Operation,
  parameters: Parameter[],
  made: Values,
  known: Known,
) {
  const [, path = ''] = call.split(' ')
  const values = parameters.map((parameter) => {
    const value = made.named(parameter.name, parameter.schema)
    return parameter.required ? value : fc.option(value, { nil: undefined, freq: 2 })
  })
  const types = Object.entries(requestBody?.content ?? {})
  const body = types.length === 0 ? fc.constant(undefined) : fc.oneof(...types.map(bodyOf(made)))
  const keys = security.some((way) => 'digitalSamba' in way) ? [known.secret] : known.keys
  const key = fc.option(fc.constantFrom(...keys), { freq: 20 })
  return fc
    .tuple(fc.tuple(...values), body, key, fc.option(odd, { freq: 20 }))
    .map(([given, sent, key, junk]) => {
      const each = parameters.map((parameter, i) => ({ ...parameter, value: given[i] }))
      const of = (where: string) => each.filter((one) => one.in === where && one.value !== undefined)
      const filled = of('path').reduce(
        (url, { name, value }) => url.replace(`{${name}}`, encoded(value)),
        path,
      )
      const query = of('query').map(({ name, value }) => `${name}=${encoded(value)}`)
      if (junk !== null && query.length > 0) query.push(`x=${encoded(junk)}`)
      return {
        call,
        url: query.length > 0 ? `${filled}?${query.join('&')}` : filled,
        headers: {
          ...(key === null ? {} : { authorization: key }),
          ...(sent ? { 'content-type': sent.type } : {}),
          ...Object.fromEntries(of('header').map(({ name, value }) => [name, headerText(value)])),
        },
        body: sent?.text,
      }
    })
}

const bodyOf =
  (made: Values) =>
  ([type, { schema }]: [string, { schema: Json }]) =>
    fc.oneof(
      { weight: 12, arbitrary: made.of(schema).map((value) => ({ type, text: JSON.stringify(value) })) },
      { weight: 1, arbitrary: odd.map((value) => ({ type, text: JSON.stringify(value) })) },
      { weight: 1, arbitrary: fc.string({ maxLength: 50 }).map((text) => ({ type, text })) },
    )

const odd = fc.jsonValue({ maxDepth: 3, stringUnit: 'binary' })
const encoded = (value: unknown) => encodeURIComponent(text(value).toWellFormed())
const headerText = (value: unknown) => text(value).replace(/[^\x20-\x7e]/g, '?')
const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))

/** Values that a schema allows, with names that mean something where it knows some; one in sixty is anything. */
class Values {
  readonly #schemas: Schemas
  readonly #known: Known

  constructor(schemas: Schemas, known: Known) {
    this.#schemas = schemas
    this.#known = known
  }

  named(name: string, schema: Json): fc.Arbitrary<unknown> {
    const names = this.#known.names[name]
    const value = this.of(schema)
    return names ? fc.oneof({ weight: 2, arbitrary: fc.constantFrom(...names) }, value) : value
  }

  of(schema: Json): fc.Arbitrary<unknown> {
    return fc.oneof({ weight: 59, arbitrary: this.#fitting(schema) }, { weight: 1, arbitrary: odd })
  }

  #fitting(schema: Json): fc.Arbitrary<unknown> {
    const { $ref, anyOf, allOf, type, enum: values } = schema
    if (typeof $ref === 'string') return this.of(this.#schemas[$ref.split('/').at(-1) as string] as Json)
    if (schema.const !== undefined) return fc.constant(schema.const)
    if (Array.isArray(values)) return fc.constantFrom(...values)
    if (Array.isArray(anyOf)) return fc.oneof(...anyOf.map((one) => this.of(one)))
    if (Array.isArray(allOf)) return this.#fitting(this.#merged([...allOf, { ...schema, allOf: undefined }]))
    if (type === 'object') return this.#object(schema)
    if (type === 'array') return this.#array(schema)
    if (type === 'boolean') return fc.boolean()
    if (type === 'null') return fc.constant(null)
    if (type === 'integer') {
      const { minimum: min = -5, maximum: max = 1000 } = schema as { minimum?: number; maximum?: number }
      return fc.integer({ min, max })
    }
    return type === 'string' ? this.#string(schema) : odd
  }

  #merged(parts: Json[]): Json {
    const whole = parts.map(({ $ref, ...part }) =>
      typeof $ref === 'string' ? (this.#schemas[$ref.split('/').at(-1) as string] as Json) : part,
    )
    const properties = Object.assign({}, ...whole.map((part) => part.properties))
    const required = whole.flatMap((part) => (part.required ?? []) as string[])
    return { type: 'object', ...Object.assign({}, ...whole), allOf: undefined, properties, required }
  }

  #object({ properties = {}, required, minProperties, maxProperties }: Json): fc.Arbitrary<unknown> {
    const fields = Object.entries(properties as Schemas).map(([name, schema]) => [
      name,
      this.named(name, schema),
    ])
    if (minProperties === 1 && maxProperties === 1)
      return fc.oneof(
        ...fields.map(([name, value]) => fc.record({ [name as string]: value as fc.Arbitrary<unknown> })),
      )
    return fc.record(Object.fromEntries(fields), { requiredKeys: (required ?? []) as never[] })
  }

  #array({ items, minItems = 0, maxItems = 4 }: Json): fc.Arbitrary<unknown> {
    const maxLength = Math.max(Math.min(Number(maxItems), 4), Number(minItems))
    return fc.array(items ? this.of(items as Json) : odd, { minLength: Number(minItems), maxLength })
  }

  #string({ format, pattern, minLength = 0, maxLength = 80 }: Json): fc.Arbitrary<string> {
    if (format === 'date-time')
      return fc.integer({ min: -9 * 86_400, max: 400 * 86_400 }).map((seconds) => {
        return new Date(this.#known.now + seconds * 1000).toISOString()
      })
    const any = fc.string({
      minLength: Number(minLength),
      maxLength: Math.min(Number(maxLength), 80),
      unit: 'grapheme',
    })
    if (typeof pattern !== 'string') return any
    // fast-check makes no strings for classes of Unicode and for looking ahead.
    return /\\p|\(\?!/.test(pattern)
      ? any.filter((text) => new RegExp(pattern, 'u').test(text))
      : fc.stringMatching(new RegExp(pattern))
  }
}
