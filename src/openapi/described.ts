import type { TSchema } from 'typebox'
import { LIMIT, Limit } from '../routes/schemas.ts'
import { FIELDS } from './fields.ts'
import { nameOf } from './schemas.ts'

/** A JSON Schema as it stands in the document. */
export interface Schema {
  [keyword: string]: unknown
  description?: string
  properties?: Record<string, Schema>
}

/** Turns schemas of the code into those of the document; keeps count of what it had nothing to say about. */
export class Describer {
  /** fields that nothing is said about */
  readonly missing = new Set<string>()
  readonly #used = new Set<string>()

  /** what is said of fields that are no longer there */
  get unused(): string[] {
    return Object.keys(FIELDS).filter((field) => !this.#used.has(field))
  }

  /**
   * The schema for readers: shapes with a name of their own become references, and every field has its meaning. `path`
   * is the name of the shape or of the operation, followed by the fields that lead there.
   */
  describe(schema: TSchema, path: string): Schema {
    const name = nameOf(schema)
    return name !== undefined && name !== path ? { $ref: `${name}#` } : this.#within(schema, path)
  }

  #within(schema: TSchema, path: string): Schema {
    if (isSame(schema, Limit))
      return { type: 'integer', minimum: 1, maximum: LIMIT.most, default: LIMIT.byDefault }
    const { properties, items, anyOf, format, description, ...rest } = JSON.parse(JSON.stringify(schema))
    return {
      ...rest,
      ...(format === undefined ? {} : { format: format === 'rfc3339' ? 'date-time' : format }),
      ...(description === undefined ? {} : { description: sentence(description) }),
      ...(properties === undefined ? {} : { properties: this.#fields(properties, path) }),
      ...(items === undefined ? {} : { items: this.describe(items, path) }),
      ...(anyOf === undefined ? {} : { anyOf: anyOf.map((one: TSchema) => this.describe(one, path)) }),
    }
  }

  #fields(properties: Record<string, TSchema>, path: string): Record<string, Schema> {
    return Object.fromEntries(
      Object.entries(properties).map(([name, schema]) => {
        const { description: shape, ...described } = this.describe(schema, `${path}.${name}`)
        const meaning = this.#meaning(path, name)
        const description = shape ? `${meaning} ${shape}` : meaning
        // Beside a reference, tools lose everything else.
        const field = '$ref' in described ? { allOf: [described] } : described
        return [name, { ...(TIME.test(name) ? timed(field) : field), description }]
      }),
    )
  }

  #meaning(path: string, name: string): string {
    // A shape that says beside its own what a rehearsal has found is no other shape.
    const field = [`${path.replace(/^Rehearsed/, '')}.${name}`, name].find((one) => FIELDS[one] !== undefined)
    if (field === undefined) this.missing.add(`${path}.${name}`)
    else this.#used.add(field)
    return `${FIELDS[field ?? '']}.`
  }
}

// Answers are made by the code, so that their schemas need not say what a time looks like.
const TIME = /(^at|^since|^until|At|From|Until)$/

function timed(field: Schema): Schema {
  if (field.type === 'string') return { ...field, format: 'date-time' }
  return Array.isArray(field.anyOf) ? { ...field, anyOf: field.anyOf.map(timed) } : field
}

/** Copies are the same, too. */
export const isSame = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other)

/** Descriptions in the code complete "must be …"; here they stand by themselves. */
function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`
}
