import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import t from 'tap'
import { Environment, SECRETS } from '../../src/config/environment.ts'
import { readConfig } from '../../src/plugins/environment.ts'
import { DEFAULTS, type Env, NOWHERE, problems, REQUIRED } from './cases.ts'

const contentOf = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8')
const example = contentOf('.env.example')
const readme = contentOf('README.md')
const configuration = /^## Configuration\n(.*?)^## /ms.exec(readme)?.[1] ?? ''
const NAMES = Object.keys(Environment.properties)

/** Of lines such as `NAME=value` and `# NAME=value`. */
function named(text: string): Env {
  return parseEnv(text.replaceAll(/^# ?(?=[A-Z_]+=)/gm, '')) as Env
}

t.test('.env.example names every variable once, and none that there is not', async (t) => {
  const all = named(example)
  t.same(Object.keys(all).sort(), [...NAMES].sort())
  for (const name of NAMES)
    t.equal(example.match(new RegExp(`^(# ?)?${name}=`, 'gm'))?.length, 1, `${name} stands there once`)
})

t.test('.env.example explains each', async (t) => {
  const paragraphs = example.split('\n\n').filter((paragraph) => /^[A-Z_]+=/m.test(paragraph))
  t.ok(paragraphs.length > 5)
  for (const paragraph of paragraphs) t.match(paragraph, /^# \S.{20}/, paragraph.split('\n').at(-1) ?? '')
  const [introduction = ''] = example.split('\n\n')
  t.match(introduction, /_FILE=\/\S+ names a file/, 'how a secret comes from a file')
  for (const name of SECRETS) t.match(introduction, name, `${name} may`)
})

t.test('.env.example holds the defaults, and lacks just what is required', async (t) => {
  t.same(await problems(named(example)), await problems({}))
  const folder = t.testdir({ '.env': example })
  t.strictSame(await readConfig(REQUIRED, folder), DEFAULTS)
  t.strictSame(await readConfig({ ...named(example), ...REQUIRED }, NOWHERE), DEFAULTS)
})

t.test('the README says what is required, and where the rest is explained', async (t) => {
  t.match(configuration, '(.env.example)')
  t.match(configuration, 'NAME_FILE')
  const required = /Required are\s(.*?);/s.exec(configuration)?.[1] ?? ''
  t.same(required.match(/[A-Z_]{4,}/g), Object.keys(REQUIRED))
  for (const [name] of configuration.matchAll(/\b[A-Z]+_[A-Z_]+\b/g))
    t.ok([...NAMES, 'NAME_FILE'].includes(name), `${name} is a variable`)
})

t.test('what the README shows of a bad configuration is what it says', async (t) => {
  const [, block = ''] = /```\n(curfew: .*?)```/s.exec(configuration) ?? []
  const [, ...shown] = block.trimEnd().split('\n')
  const env = { ...REQUIRED, DIGITAL_SAMBA_DEVELOPER_KEY: '', PORT: 'x', API_KEYS: 'x', RETRY_FOR: 'x' }
  t.same(
    shown.map((line) => line.trim()),
    await problems(env),
  )
})
