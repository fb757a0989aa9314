import { signal } from './library.js'

/*
 * The public HTTP interface, and nothing else. The key is kept for this tab only, and is in no address and no log.
 */

const STORED = 'curfew-key'
// Where the service is found, also behind a prefix: this page is at /console.
const BASE = new URL('.', document.baseURI)

export const key = signal(sessionStorage.getItem(STORED))
/** Who that is, as /status says: name, operator, readOnly. */
export const caller = signal(null)
/** Why the key was given up; null where it was not. */
export const refusal = signal(null)
/** What is in the way of hearing from the service at all; null where nothing is. */
export const silence = signal(null)

export function useKey(value) {
  sessionStorage.setItem(STORED, value)
  refusal.value = null
  key.value = value
}

export function forgetKey(why = null) {
  sessionStorage.removeItem(STORED)
  key.value = null
  caller.value = null
  refusal.value = why
}

export const mayChange = (owner) =>
  caller.value !== null && !caller.value.readOnly && (caller.value.operator || caller.value.name === owner)
export const isOperator = () => caller.value?.operator === true
export const mayAsk = () => caller.value !== null && !caller.value.readOnly

/** A mistake or trouble that the service told of, in its own words. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `answered ${status}`)
    this.status = status
    this.problem = problem
  }
}

const PATIENCE_MS = 15_000

/** Asks the service. Throws Refused, or an Error where nobody answers. */
export async function ask(method, path, body) {
  const answer = await fetch(new URL(path.replace(/^\//, ''), BASE), {
    method,
    headers: {
      authorization: `Bearer ${key.value}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    cache: 'no-store',
    signal: AbortSignal.timeout(PATIENCE_MS),
  }).catch((error) => {
    silence.value =
      error.name === 'TimeoutError' ? 'Curfew does not answer in time' : 'Curfew cannot be reached'
    throw new Error(silence.value)
  })
  silence.value = null
  const said = await answer.json().catch(() => ({}))
  if (answer.ok) return said
  if (answer.status === 401) forgetKey('This key is not known (any more).')
  throw new Refused(answer.status, said)
}

/** The same for somebody with a terminal. */
export function asCurl(method, path, body) {
  const verb = method === 'GET' ? '' : `-X ${method} `
  const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`
  const sent =
    body === undefined ? '' : ` -H 'content-type: application/json' \\\n  -d ${quoted(JSON.stringify(body))}`
  return `curl -s ${verb}"$CURFEW${path.replaceAll(/(["$`\\])/g, '\\$1')}" -H "Authorization: Bearer $KEY"${sent}`
}

/** `?a=1&b=2` of what is set. */
export function queryOf(values) {
  const entries = Object.entries(values).filter(
    ([, value]) => value !== undefined && value !== '' && value !== null,
  )
  return entries.length === 0 ? '' : `?${new URLSearchParams(entries)}`
}
