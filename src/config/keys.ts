import { hash } from 'node:crypto'
import type { Caller } from '../storage/endings.ts'

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
    if (other && (other.name !== key.name || other.operator !== key.operator))
      problems.push(`API_KEYS and OPERATOR_KEYS must not give ${other.name} and ${key.name} the same key`)
    owners.set(key.digest.toString('hex'), key)
  }
  const callerNames = new Set(keys.filter(({ operator }) => !operator).map(({ name }) => name))
  for (const name of new Set(keys.filter(({ operator }) => operator).map(({ name }) => name)))
    if (callerNames.has(name)) problems.push(`OPERATOR_KEYS must not use the name ${name}: API_KEYS has it`)
  return { keys, problems }
}

function parseList(list: string, operator: boolean): ApiKey[] {
  return list
    .split(',')
    .filter((entry) => entry !== '')
    .map((entry) => {
      const colon = entry.indexOf(':')
      return { name: entry.slice(0, colon), operator, digest: digestOf(entry.slice(colon + 1)) }
    })
}
