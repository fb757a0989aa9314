import { Ajv } from 'ajv'
import type { TSchema } from 'typebox'
import type { Mistake } from './problem.ts'
import { parseTime } from './time.ts'

/** Nothing is coerced, filled in or dropped; `verbose` brings the schema whose `description` says what would be right. */
export const ajvOptions = {
  customOptions: {
    coerceTypes: false,
    removeAdditional: false,
    useDefaults: false,
    allErrors: true,
    verbose: true,
    formats: { rfc3339: { type: 'string', validate: (text: string) => parseTime(text) !== undefined } },
  },
} as const

/** What Ajv says of a value, by itself or through Fastify. */
export interface SchemaError {
  instancePath: string
  keyword: string
  params: Record<string, unknown>
  message?: string
}

interface VerboseError extends SchemaError {
  parentSchema?: {
    description?: string
    type?: string
    properties?: Record<string, { description?: string }>
  }
}

let ajv: Ajv | undefined

/** Checks what does not come to Fastify as a body of its own; the same words for the same mistakes. */
export function checker(schema: TSchema): (value: unknown) => Mistake[] {
  ajv ??= new Ajv(ajvOptions.customOptions)
  const validate = ajv.compile(schema)
  return (value) => (validate(value) ? [] : mistakesOf(validate.errors as SchemaError[]))
}

/** One mistake for each place, in the words of the schema's descriptions. */
export function mistakesOf(errors: SchemaError[]): Mistake[] {
  const found = new Map<string, string>()
  for (const error of errors as VerboseError[]) {
    const mistake = mistakeOf(error)
    if (!found.has(mistake.pointer)) found.set(mistake.pointer, mistake.detail)
  }
  return [...found].map(([pointer, detail]) => ({ pointer, detail }))
}

function mistakeOf({ instancePath, keyword, params, parentSchema, message }: VerboseError): Mistake {
  const properties = parentSchema?.properties ?? {}
  if (keyword === 'required') {
    const name = String(params.missingProperty)
    const wanted = properties[name]?.description
    return { pointer: below(instancePath, name), detail: wanted ? `is required: ${wanted}` : 'is required' }
  }
  if (keyword === 'additionalProperties') {
    const known = Object.keys(properties)
    const detail =
      known.length > 0
        ? `is not known; known here are ${known.join(', ')}`
        : 'is not known; nothing is expected here'
    return { pointer: below(instancePath, String(params.additionalProperty)), detail }
  }
  const wanted = parentSchema?.description
  return { pointer: instancePath, detail: wanted ? `must be ${wanted}` : (message ?? 'is not valid') }
}

// RFC 6901: ~ and / within a name are escaped.
function below(path: string, name: string): string {
  return `${path}/${name.slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1')}`
}
