import fc from 'fast-check'
import t from 'tap'
import { type Config, ConfigError } from '../../src/config/config.ts'
import { Environment } from '../../src/config/environment.ts'
import { readConfig } from '../../src/plugins/environment.ts'
import { type Env, KEY, NOWHERE, problems, REQUIRED } from './cases.ts'
import { BAD } from './values.ts'

const NAMES = Object.keys(Environment.properties)
const variableOf = (line: string) => line.split(' ')[0]

// With a mark in all that could be a secret, so that a line that repeats any of it is seen.
const MARK = '§sEcReT'
const SEEDS = {
  PORT: '80',
  RETRY_FOR: '7h',
  API_KEYS: `caller:${KEY}`,
  URL: 'http://127.0.0.1:1',
  FILE: 'file:x.db',
}
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string().map((some) => `${MARK}${some}`),
  fc.string().map((some) => `postgres://a:${MARK}@${some}`),
  fc.string().map((some) => `https://${some}${MARK}`),
  fc.string().map((some) => `caller:${some}${MARK}${KEY}`),
  fc.constantFrom(...Object.values(SEEDS), ...Object.values(BAD).flatMap(({ values }) => values)),
)
const names = [...NAMES, ...NAMES.map((name) => `${name}_FILE`)]
const environments = fc.tuple(
  fc.constantFrom<Env>({}, REQUIRED),
  fc.dictionary(fc.constantFrom(...names), text, { maxKeys: 8 }),
)

t.test('whatever is set, there is a Config or a ConfigError', async (t) => {
  const seen = { configs: 0, errors: 0 }
  const property = fc.asyncProperty(environments, async ([base, more]) => {
    try {
      shouldBeSound(await readConfig({ ...base, ...more }, NOWHERE))
      seen.configs += 1
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      seen.errors += 1
      if (error.problems.length === 0) throw new Error('says nothing')
      for (const line of error.problems) {
        if (line.includes(MARK) || line.includes('\n')) throw new Error(`repeats a value: ${line}`)
        if (!names.includes(`${variableOf(line)}`)) throw new Error(`begins with no variable: ${line}`)
      }
    }
  })
  await fc.assert(property, { seed: 4, numRuns: 1500 })
  t.ok(seen.configs > 50, `${seen.configs} were good`)
  t.ok(seen.errors > 500, `${seen.errors} were not`)
})

function shouldBeSound(config: Config): void {
  const { port, callsPerMinute, maxConcurrentCalls, retryForMs, shutdownGraceMs, retentionDays } = config
  const numbers = [port, callsPerMinute, maxConcurrentCalls, retryForMs, shutdownGraceMs, retentionDays]
  if (!numbers.every((number) => Number.isSafeInteger(number) && number >= 0)) throw new Error(`${numbers}`)
  if (config.keys.length === 0) throw new Error('nobody may ask')
}

t.test('of good and bad ones, just the bad ones are named', async (t) => {
  const bad = Object.fromEntries(
    Object.entries(BAD).map(([name, { values }]) => [name, fc.constantFrom(...values)]),
  )
  const property = fc.asyncProperty(fc.record(bad, { requiredKeys: [] }), async (env) => {
    const lines = await problems({ ...REQUIRED, ...env })
    return JSON.stringify(lines.map(variableOf).sort()) === JSON.stringify(Object.keys(env).sort())
  })
  await t.resolves(fc.assert(property, { seed: 5, numRuns: 300 }))
})
