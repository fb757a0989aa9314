import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv'
import type { TSchema } from 'typebox'
import { pointerStep } from './json.ts'
import type { Mistake } from './problem.ts'
import { parseTime } from './time.ts'

/** Nothing is coerced, filled in or dropped; `verbose` brings the schema whose `description` says what would be right. */
const options = {
  coerceTypes: false,
  removeAdditional: false,
  useDefaults: false,
  verbose: true,
  // The schemas are ours: to hold each against JSON Schema's own costs the start 50 ms.
  meta: false,
  validateSchema: false,
  formats: { rfc3339: { type: 'string', validate: (text: string) => parseTime(text) !== undefined } },
} satisfies Options

/** How many mistakes one answer tells of. */
export const MOST_MISTAKES = 20
// In more than this, everything might be wrong, and finding it would cost far more than finding nothing.
const MOST_VALUES = 2000
const LONGEST_POINTER = 200
const LONGEST_DETAIL = 400

let untilFirst: Ajv | undefined
let throughout: Ajv | undefined

/**
 * The one way in which anything from outside is held against its schema, which is compiled when it is first needed. It stops at the first mistake, so that what
 * is wrong costs no more than what is right; only something small is gone through once more for all of them.
 */
export function checker(schema: TSchema): (value: unknown) => Mistake[] {
  let check: ValidateFunction | undefined
  let checkAll: ValidateFunction | undefined
  return (value) => {
    untilFirst ??= new Ajv(options)
    check ??= untilFirst.compile(schema)
    if (check(value)) return []
    const first = check.errors as ErrorObject[]
    if (!isSmall(value)) return mistakesOf(first).slice(0, 1)
    throughout ??= new Ajv({ ...options, allErrors: true })
    checkAll ??= throughout.compile(schema)
    checkAll(value)
    return mistakesOf(checkAll.errors ?? first).slice(0, MOST_MISTAKES)
  }
}

/** Counts what there is in a value, and stops where it is too much. */
function isSmall(value: unknown): boolean {
  const rest = [value]
  let count = 0
  while (rest.length > 0) {
    const next = rest.pop()
    count += 1
    if (typeof next !== 'object' || next === null) continue
    const within: unknown[] = Array.isArray(next) ? next : Object.values(next)
    if (count + rest.length + within.length > MOST_VALUES) return false
    rest.push(...within)
  }
  return true
}

/** One mistake for each place, in the words of the schema's descriptions where it has any. */
function mistakesOf(errors: ErrorObject[]): Mistake[] {
  const found = new Map<string, { detail: string; described: boolean }>()
  for (const error of errors) {
    const { pointer, ...mistake } = mistakeOf(error)
    const known = found.get(pointer)
    if (!known || (mistake.described && !known.described)) found.set(pointer, mistake)
  }
  return [...found].map(([pointer, { detail }]) => ({
    pointer: pointer.slice(0, LONGEST_POINTER),
    detail: detail.slice(0, LONGEST_DETAIL),
  }))
}

function mistakeOf({ instancePath, keyword, params, parentSchema, message }: ErrorObject) {
  const properties: Record<string, { description?: string }> = parentSchema?.properties ?? {}
  if (keyword === 'required') {
    const name = String(params.missingProperty)
    const wanted = properties[name]?.description
    const detail = wanted ? `is required: ${wanted}` : 'is required'
    return { pointer: instancePath + pointerStep(name), detail, described: true }
  }
  if (keyword === 'additionalProperties') {
    const known = Object.keys(properties)
    const detail =
      known.length > 0
        ? `is not known; known here are ${known.join(', ')}`
        : 'is not known; nothing is expected here'
    return {
      pointer: instancePath + pointerStep(String(params.additionalProperty)),
      detail,
      described: true,
    }
  }
  const wanted: string | undefined = parentSchema?.description
  const detail = wanted ? `must be ${wanted}` : (message ?? 'is not valid')
  return { pointer: instancePath, detail, described: wanted !== undefined }
}
