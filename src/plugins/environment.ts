import fastifyEnv from '@fastify/env'
import Fastify from 'fastify'
import {
  type Config,
  ConfigError,
  crossChecks,
  problemOf,
  type SchemaError,
  toConfig,
} from '../config/config.ts'
import { Environment } from '../config/environment.ts'
import { gather } from '../config/sources.ts'
import { schemaController } from './schemas.ts'

/**
 * Reads the configuration from `env` and, where there is one, from the file `.env` in `directory`; the environment wins.
 * @throws ConfigError with every problem there is
 */
export async function readConfig(env: NodeJS.ProcessEnv, directory = process.cwd()): Promise<Config> {
  const { values, problems } = gather(env, directory)
  const checked = await check(values)
  problems.push(
    ...checked.problems.filter((problem) => !problems.some((known) => sameVariable(known, problem))),
  )
  problems.push(...crossChecks(values, (name) => problems.every((problem) => variableOf(problem) !== name)))
  if (problems.length > 0 || !checked.environment) throw new ConfigError(problems)
  return toConfig(checked.environment)
}

const variableOf = (problem: string) => problem.split(' ')[0]?.replace(/_FILE$/, '')
const sameVariable = (a: string, b: string) => variableOf(a) === variableOf(b)

/** Through @fastify/env, on an instance of its own: the service's instance needs its log level before it exists. */
async function check(data: Record<string, string>) {
  const reader = Fastify({ schemaController })
  try {
    await reader.register(fastifyEnv, { schema: Environment, data, env: false, dotenv: false })
    return { environment: reader.getEnvs<Environment>(), problems: [] }
  } catch (error) {
    const errors = (error as { errors?: SchemaError[] }).errors
    if (!errors) throw error
    return { environment: undefined, problems: [...new Set(errors.map(problemOf))] }
  } finally {
    await reader.close()
  }
}
