import { hash } from 'node:crypto'
import type { Caller } from '../caller.ts'

/** A caller and the SHA-256 of its key; the key itself is not kept. */
export interface ApiKey extends Caller {
  digest: Buffer
}

/** What Curfew asks for by itself stands in the ledger under this name. */
export const RESERVED = 'curfew'
/** How a key is written that stands in the configuration as its SHA-256. No key has a colon in it. */
const HASHED = 'sha256:'

export function digestOf(key: string): Buffer {
  return hash('sha256', key, 'buffer')
}

/** A key as the configuration may hold it instead of the key itself. */
export function hashedForm(key: string): string {
  return `${HASHED}${digestOf(key).toString('hex')}`
}

/** What is wrong with a caller's name; undefined where nothing is. */
export function nameFlaw(name: string): string | undefined {
  if (name === RESERVED) return `the name must not be ${RESERVED}: it is Curfew's own`
  if (name === 'sha256') return 'the name must not be sha256: it says how a key is written'
  if (/^[a-z][a-z0-9-]*$/.test(name)) return undefined
  return 'the name must be lower-case letters, digits and -, and begin with a letter'
}

/** Lists as they stand in the configuration, where they have passed their pattern. */
export interface KeyLists {
  callers?: string | undefined
  operators?: string | undefined
  readers?: string | undefined
}

/** Reads `name:key,name:key` lists. One name may have several keys, while rotating. */
export function parseKeys(lists: KeyLists): { keys: ApiKey[]; problems: string[] } {
  const callers = parseList(lists.callers, { operator: false })
  const operators = parseList(lists.operators, { operator: true })
  const readers = parseList(lists.readers, { operator: false, readOnly: true })
  const variables = { API_KEYS: callers, OPERATOR_KEYS: operators, READ_KEYS: readers }
  const problems = Object.entries(variables)
    .filter(([, keys]) => keys.some(({ name }) => name === RESERVED))
    .map(([variable]) => `${variable} must not use the name ${RESERVED}: it is Curfew's own`)
  const owners = new Map<string, { variable: string; name: string }>()
  for (const [variable, keys] of Object.entries(variables))
    for (const { name, digest } of keys) {
      const other = owners.get(digest.toString('hex'))
      const both = [...new Set([other?.variable, variable])].join(' and ')
      if (other && other.name !== name)
        problems.push(`${both} must not give ${other.name} and ${name} the same key`)
      else owners.set(digest.toString('hex'), { variable, name })
    }
  problems.push(
    ...sharedNames('OPERATOR_KEYS', operators, 'API_KEYS', callers),
    ...sharedNames('READ_KEYS', readers, 'API_KEYS', callers),
    ...sharedNames('READ_KEYS', readers, 'OPERATOR_KEYS', operators),
  )
  return { keys: [...callers, ...operators, ...readers], problems: [...new Set(problems)] }
}

function sharedNames(variable: string, keys: ApiKey[], otherVariable: string, others: ApiKey[]): string[] {
  const taken = new Set(others.map(({ name }) => name))
  return keys
    .filter(({ name }) => taken.has(name))
    .map(({ name }) => `${variable} must not use the name ${name}: ${otherVariable} has it`)
}

/** Who signs events, and with what; several secrets for one name, while rotating. */
export interface EventSecret {
  name: string
  secret: string
}

/** Reads a `name:whsec_…,name:whsec_…` list that has passed its pattern. */
export function parseSecrets(list = ''): { secrets: EventSecret[]; problems: string[] } {
  const secrets = entriesOf(list.split(',')).map(([name, secret]) => ({ name, secret }))
  const problems: string[] = []
  if (secrets.some(({ name }) => name === RESERVED))
    problems.push(`EVENT_SECRETS must not use the name ${RESERVED}: it is Curfew's own`)
  const owners = new Map<string, string>()
  for (const { name, secret } of secrets) {
    const other = owners.get(secret)
    if (other && other !== name)
      problems.push(`EVENT_SECRETS must not give ${other} and ${name} the same secret`)
    owners.set(secret, name)
  }
  return { secrets, problems: [...new Set(problems)] }
}

function parseList(list: string | undefined, may: Omit<Caller, 'name'>): ApiKey[] {
  return entriesOf((list ?? '').split(',')).map(([name, key]) => ({
    name,
    ...may,
    digest: storedDigest(key),
  }))
}

function storedDigest(key: string): Buffer {
  return key.startsWith(HASHED) ? Buffer.from(key.slice(HASHED.length), 'hex') : digestOf(key)
}

/** What stands before and behind the first colon of each. */
export function entriesOf(list: string[]): Array<[name: string, value: string]> {
  return list
    .filter((entry) => entry !== '')
    .map((entry) => {
      const colon = entry.indexOf(':')
      return [entry.slice(0, colon), entry.slice(colon + 1)]
    })
}
