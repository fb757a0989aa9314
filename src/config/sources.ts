import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { Environment, SECRETS } from './environment.ts'

/**
 * Everything that is set, by name: the environment over `.env`, and files for what NAME_FILE points to. An empty
 * value counts as not set, which is what `NAME=` and compose's `${NAME:-}` mean by it.
 */
export function gather(env: NodeJS.ProcessEnv, directory: string) {
  const problems: string[] = []
  const own = withoutEmpty(env)
  const all = { ...withoutOverruled(readDotEnv(directory, problems), own), ...own }
  const values: Record<string, string> = {}
  for (const name of Object.keys(Environment.properties)) if (all[name]) values[name] = all[name]
  for (const name of SECRETS) {
    const file = all[`${name}_FILE`]
    if (!file) continue
    if (values[name]) problems.push(`${name}_FILE must not be set beside ${name}: one of them`)
    else readSecret(name, resolve(directory, file), values, problems)
  }
  return { values, problems }
}

function readSecret(name: string, file: string, values: Record<string, string>, problems: string[]): void {
  try {
    // Editors and `echo` end a file with a newline, which is no part of the secret.
    values[name] = readFileSync(file, 'utf8').replace(/\r?\n$/, '')
    if (values[name] === '') problems.push(`${name}_FILE must name a file that is not empty`)
  } catch (error) {
    problems.push(`${name}_FILE must name a file that can be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** A secret that the environment sets in one way is not set in the other way by `.env`. */
function withoutOverruled(dotEnv: Record<string, string>, own: Record<string, string>) {
  const left = { ...dotEnv }
  for (const name of SECRETS) {
    if (own[name]) delete left[`${name}_FILE`]
    if (own[`${name}_FILE`]) delete left[name]
  }
  return left
}

function readDotEnv(directory: string, problems: string[]): Record<string, string> {
  try {
    return withoutEmpty(parseEnv(readFileSync(join(directory, '.env'), 'utf8')))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') problems.push(`.env must be a file that can be read (${code})`)
    return {}
  }
}

/** Names in the file `.env` of `directory` that say nothing to Curfew: what is misspelled there is not set. */
export function unknownInDotEnv(directory: string): string[] {
  const known = new Set([...Object.keys(Environment.properties), ...SECRETS.map((name) => `${name}_FILE`)])
  const names = Object.keys(readDotEnv(directory, []))
  return names.filter((name) => !known.has(name)).sort()
}

function withoutEmpty(values: NodeJS.Dict<string>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter((entry): entry is [string, string] => !!entry[1]))
}
