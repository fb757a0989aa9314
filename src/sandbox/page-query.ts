import type { FieldErrors } from './answers.ts'
import type { Session } from './entities.ts'
import type { PageQuery } from './session-list.ts'

const MAX_LIMIT = 100
const DAY_MS = 24 * 60 * 60_000
const BOOLEANS: Record<string, boolean> = { true: true, 1: true, false: false, 0: false }

type Raw = Record<string, unknown>

/** Reads paging and filters; what does not fit is collected by field, as the vendor answers it. */
export function parsePageQuery(
  raw: Raw,
  findSession: (id: string) => Session | undefined,
): { query: PageQuery<Session>; errors?: undefined } | { errors: FieldErrors } {
  const errors: FieldErrors = {}
  const complain = (field: string, text: string) => {
    errors[field] = [text]
    return undefined
  }
  const after = pick(raw, 'after', findSession, () => complain('after', 'The selected after is invalid.'))
  const live = pick(raw, 'live', parseBoolean, () =>
    complain('live', 'The live field must be true or false.'),
  )
  const startedFrom = pick(raw, 'date_start', parseDay, () => complain('date_start', notADate('date start')))
  const lastDay = pick(raw, 'date_end', parseDay, () => complain('date_end', notADate('date end')))
  const paging = parsePaging(raw, complain)
  if (Object.keys(errors).length > 0) return { errors }
  return {
    query: {
      ...paging,
      ...(live === undefined ? {} : { live }),
      ...(after === undefined ? {} : { after }),
      ...(startedFrom === undefined ? {} : { startedFrom }),
      ...(lastDay === undefined ? {} : { startedBefore: lastDay + DAY_MS }),
    },
  }
}

/** The same, of the list of webhooks: it knows no filters. */
export function parseWebhookPaging<T>(raw: Raw, find: (id: string) => T | undefined) {
  const errors: FieldErrors = {}
  const complain = (field: string, text: string) => {
    errors[field] = [text]
    return undefined
  }
  const after = pick(raw, 'after', find, () => complain('after', 'The selected after is invalid.'))
  const paging = { ...parsePaging(raw, complain), after }
  return Object.keys(errors).length > 0 ? { errors, paging } : { paging }
}

function parsePaging(raw: Raw, complain: (field: string, text: string) => undefined) {
  const limit = pick(raw, 'limit', wholeNumber(1, MAX_LIMIT), () =>
    complain('limit', `The limit must be between 1 and ${MAX_LIMIT}.`),
  )
  const offset = pick(raw, 'offset', wholeNumber(0, Number.MAX_SAFE_INTEGER), () =>
    complain('offset', 'The offset must be at least 0.'),
  )
  const order = pick(raw, 'order', parseOrder, () => complain('order', 'The selected order is invalid.'))
  return { limit: limit ?? MAX_LIMIT, offset: offset ?? 0, order: order ?? 'desc' }
}

/** Absent and empty parameters count as not given. */
function pick<T>(
  raw: Raw,
  field: string,
  parse: (text: string) => T | undefined,
  complain: () => undefined,
): T | undefined {
  const value = raw[field]
  if (value === undefined || value === '') return undefined
  return (typeof value === 'string' ? parse(value) : undefined) ?? complain()
}

function parseBoolean(text: string): boolean | undefined {
  return Object.hasOwn(BOOLEANS, text) ? BOOLEANS[text] : undefined
}

function parseOrder(text: string): 'asc' | 'desc' | undefined {
  return text === 'asc' || text === 'desc' ? text : undefined
}

function parseDay(text: string): number | undefined {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN
  return Number.isNaN(day) ? undefined : day
}

function wholeNumber(min: number, max: number): (text: string) => number | undefined {
  return (text) => {
    const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    return number >= min && number <= max ? number : undefined
  }
}

function notADate(name: string): string {
  return `The ${name} does not match the format Y-m-d.`
}
