import { type Config, ConfigError } from '../config/config.ts'
import { Environment } from '../config/environment.ts'
import { gather, unknownInDotEnv } from '../config/sources.ts'
import { readConfig } from '../plugins/environment.ts'
import { type Finding, findingsOf } from './finding.ts'

const { ok, warning, wrong } = findingsOf('configuration')

export interface Configured {
  findings: Finding[]
  /** What of it is good, with defaults for the rest; undefined where that makes no whole. */
  config: Config | undefined
  /** the variables that are not good */
  bad: Set<string>
}

/** Reads it as the server does. Where something is wrong with it, the rest is still good for what depends on it alone. */
export async function checkConfiguration(env: NodeJS.ProcessEnv, directory: string): Promise<Configured> {
  const unknown = unknownInDotEnv(directory).map((name) =>
    warning(`${name} in .env says nothing to Curfew`, 'correct its name, or take the line out'),
  )
  try {
    const config = await readConfig(env, directory)
    const names = Object.keys(gather(env, directory).values)
    const all = Object.keys(Environment.properties).length
    const says = `${names.length} of ${all} variables are set and good: ${names.join(', ')}`
    return { findings: [ok(says), ...unknown], config, bad: new Set() }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const findings = error.problems.map((problem) =>
      wrong(problem, 'Curfew does not start before that is right'),
    )
    const bad = new Set(error.problems.flatMap(variablesOf))
    return { findings: [...findings, ...unknown], config: await configWithout(bad, env, directory), bad }
  }
}

/** A problem begins with the variable that it is about, or with those. */
function variablesOf(problem: string): string[] {
  const [names = ''] = /^[A-Z_]+( and [A-Z_]+)*/.exec(problem) ?? []
  return names.split(' and ').map((name) => name.replace(/_FILE$/, ''))
}

// Nobody is asked with them.
const STAND_INS = {
  DIGITAL_SAMBA_TEAM_ID: 'missing',
  DIGITAL_SAMBA_DEVELOPER_KEY: 'missing',
  API_KEYS: `missing:${'missing'.repeat(4)}`,
}

async function configWithout(bad: Set<string>, env: NodeJS.ProcessEnv, directory: string) {
  const good = Object.entries(gather(env, directory).values).filter(([name]) => !bad.has(name))
  try {
    // A folder that has no .env: whatever that says is among them already.
    return await readConfig({ ...STAND_INS, ...Object.fromEntries(good) }, import.meta.dirname)
  } catch (error) {
    if (error instanceof ConfigError) return undefined
    throw error
  }
}
