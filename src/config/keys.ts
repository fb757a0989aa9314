import { hash } from 'node:crypto'
import type { Caller } from '../caller.ts'

/** A caller and the SHA-256 of its key; the key itself is not kept. */
export interface ApiKey extends Caller {
  digest: Buffer
}

// What Curfew asks for by itself stands in the ledger under this name.
const RESERVED = 'curfew'

export function digestOf(key: string): Buffer {
  return hash('sha256', key, 'buffer')
}

/** Reads `name:key,name:key` lists that have passed their pattern. One name may have several keys, while rotating. */
export function parseKeys(callers = '', operators = ''): { keys: ApiKey[]; problems: string[] } {
  const keys = [...parseList(callers, false), ...parseList(operators, true)]
  const problems: string[] = []
  if (keys.some(({ name }) => name === RESERVED))
    problems.push(`API_KEYS and OPERATOR_KEYS must not use the name ${RESERVED}: it is Curfew's own`)
  const owners = new Map<string, ApiKey>()
  for (const key of keys) {
    const other = owners.get(key.digest.toString('hex'))
    if (other && other.name !== key.name)
      problems.push(`API_KEYS and OPERATOR_KEYS must not give ${other.name} and ${key.name} the same key`)
    else owners.set(key.digest.toString('hex'), key)
  }
  const callerNames = new Set(keys.filter(({ operator }) => !operator).map(({ name }) => name))
  for (const name of new Set(keys.filter(({ operator }) => operator).map(({ name }) => name)))
    if (callerNames.has(name)) problems.push(`OPERATOR_KEYS must not use the name ${name}: API_KEYS has it`)
  return { keys, problems: [...new Set(problems)] }
}

/** Who signs events, and with what; several secrets for one name, while rotating. */
export interface EventSecret {
  name: string
  secret: string
}

/** Reads a `name:whsec_…,name:whsec_…` list that has passed its pattern. */
export function parseSecrets(list = ''): { secrets: EventSecret[]; problems: string[] } {
  const secrets = entriesOf(list).map(([name, secret]) => ({ name, secret }))
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

function parseList(list: string, operator: boolean): ApiKey[] {
  return entriesOf(list).map(([name, key]) => ({ name, operator, digest: digestOf(key) }))
}

function entriesOf(list: string): Array<[name: string, value: string]> {
  return list
    .split(',')
    .filter((entry) => entry !== '')
    .map((entry) => {
      const colon = entry.indexOf(':')
      return [entry.slice(0, colon), entry.slice(colon + 1)]
    })
}
