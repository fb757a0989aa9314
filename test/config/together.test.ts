import t from 'tap'
import { Environment } from '../../src/config/environment.ts'
import { readConfig } from '../../src/plugins/environment.ts'
import { type Env, type Name, NOWHERE, problems, REQUIRED, read, refused } from './cases.ts'
import { BAD } from './values.ts'

const NAMES = Object.keys(Environment.properties) as Name[]
const variableOf = (line: string) => line.split(' ')[0]

t.test('all that is wrong is said at once, a line for each', async (t) => {
  const bad = Object.entries(BAD)
  for (let round = 0; round < 11; round += 1) {
    const env = Object.fromEntries(
      bad.map(([name, { values }]) => [name, `${values[round % values.length]}`]),
    )
    const lines = await problems(env)
    t.same(
      lines.map(variableOf).sort(),
      [...Object.keys(BAD), 'DIGITAL_SAMBA_TEAM_ID', 'DIGITAL_SAMBA_DEVELOPER_KEY'].sort(),
    )
    const error = await readConfig(env, NOWHERE).catch((error: Error) => error)
    t.match(error, { name: 'ConfigError', code: 'BAD_CONFIG', message: lines.join('\n') })
    t.notMatch(lines.join('\n'), /sEcReT|\bcaller\b|\boperator\b|example\.org/, 'and no value is repeated')
  }
})

t.test('what is required', async (t) => {
  const lines = [
    "DIGITAL_SAMBA_TEAM_ID is required: the team's id",
    "DIGITAL_SAMBA_DEVELOPER_KEY is required: the team's developer key, without spaces and line breaks",
    `API_KEYS is required: ${BAD.API_KEYS?.wanted}`,
  ]
  t.same(await problems({}), lines)
  for (const [index, name] of Object.keys(REQUIRED).entries()) {
    const { [name as keyof typeof REQUIRED]: _, ...rest } = REQUIRED
    t.same(await problems(rest), [lines[index]], `without ${name}`)
    t.same(await problems({ ...rest, [name]: '' }), [lines[index]], `with an empty ${name}`)
    t.same(
      await problems({ ...rest, [name]: '', [`${name}_FILE`]: '' }),
      [lines[index]],
      'and an empty file name',
    )
  }
})

t.test('an empty value counts as not set', async (t) => {
  const empty = Object.fromEntries(NAMES.flatMap((name) => [name, `${name}_FILE`]).map((name) => [name, '']))
  t.strictSame(await readConfig({ ...empty, ...REQUIRED }, NOWHERE), await read())
})

const TO_THIS_MACHINE = [
  'localhost',
  'LOCALHOST:4010',
  '127.0.0.1',
  '127.0.0.1:4010/',
  '127.9.8.7',
  '[::1]:4010',
]
const ELSEWHERE = [
  'api.example.org',
  'sandbox:4010',
  '0.0.0.0:4010',
  '10.0.0.1',
  '126.0.0.1',
  '128.0.0.1',
  '[::2]',
  '[2001:db8::1]',
  'localhost.example.org',
  'notlocalhost',
  '127.0.0.1.example.org',
  '127-0-0-1.example.org',
]

t.test('http without TLS only to this machine, or where it is asked for', async (t) => {
  const of = async (env: Env) => (await read(env)).digitalSamba.url
  for (const host of TO_THIS_MACHINE)
    for (const allow of ['', 'false', 'true'])
      t.equal(
        await of({ DIGITAL_SAMBA_URL: `http://${host}`, DIGITAL_SAMBA_ALLOW_HTTP: allow }),
        `http://${host}`,
      )
  for (const host of ELSEWHERE) {
    const url = { DIGITAL_SAMBA_URL: `http://${host}` }
    for (const allow of ['', 'false'])
      await refused(
        t,
        { ...url, DIGITAL_SAMBA_ALLOW_HTTP: allow },
        /^DIGITAL_SAMBA_URL must begin with https:/,
      )
    t.equal(await of({ ...url, DIGITAL_SAMBA_ALLOW_HTTP: 'true' }), url.DIGITAL_SAMBA_URL)
    t.equal(await of({ DIGITAL_SAMBA_URL: `https://${host}` }), `https://${host}`)
  }
  for (const rest of [
    'localhost/v1',
    'me:sEcReT@localhost',
    'localhost?x',
    'localhost#x',
    'example.org@localhost',
  ])
    for (const allow of ['false', 'true']) {
      const env = { DIGITAL_SAMBA_URL: `http://${rest}`, DIGITAL_SAMBA_ALLOW_HTTP: allow }
      await refused(t, env, /^DIGITAL_SAMBA_URL must be a URL .* neither path nor credentials$/, NOWHERE, [
        'sEcReT',
      ])
    }
})

t.test('a path behind a backslash is a path', async (t) =>
  refused(t, { DIGITAL_SAMBA_URL: 'https://api.example.org\\v1' }, /^DIGITAL_SAMBA_URL must /),
)
