import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Config } from '../../src/config/config.ts'
import { SECRETS } from '../../src/config/environment.ts'
import { unknownInDotEnv } from '../../src/config/sources.ts'
import { apiKey, BESIDE, DEFAULTS, type Env, problems, REQUIRED, read, readKey, refused } from './cases.ts'

const KEY = 'sEcReT-key-0123456789-abcdef'
const SECRET = `whsec_${'sEcReT0123456789+/AB'.padEnd(32, 'x')}`
const samba = DEFAULTS.digitalSamba
const withCredentials = (more: Partial<typeof samba.credentials>) => ({
  digitalSamba: { ...samba, credentials: { ...samba.credentials, ...more } },
})
/** `bad` is what the file must not hold, where there is anything that it must not. */
const IN_FILES: Record<(typeof SECRETS)[number], { good: string; config: Partial<Config>; bad?: string }> = {
  DIGITAL_SAMBA_TEAM_ID: { good: 'sEcReT-team', config: withCredentials({ teamId: 'sEcReT-team' }) },
  DIGITAL_SAMBA_DEVELOPER_KEY: { good: KEY, config: withCredentials({ developerKey: KEY }) },
  DATABASE_URL: {
    good: `postgres://curfew:${KEY}@db/curfew`,
    config: { databaseUrl: `postgres://curfew:${KEY}@db/curfew` },
    bad: `mysql://curfew:${KEY}@db/curfew`,
  },
  API_KEYS: { good: `caller:${KEY}`, config: { keys: [apiKey('caller', KEY)] }, bad: KEY },
  EVENT_SECRETS: {
    good: `sender:${SECRET}`,
    config: { eventSecrets: [{ name: 'sender', secret: SECRET }] },
    bad: SECRET,
  },
  NOTIFY_URLS: {
    good: 'booking:https://booking.example.org/sEcReT',
    config: {
      receivers: [
        {
          caller: 'booking',
          url: 'https://booking.example.org/sEcReT',
          secrets: [`whsec_${'A+/9'.repeat(8)}`],
        },
      ],
    },
    bad: 'booking: https://booking.example.org/sEcReT',
  },
  NOTIFY_SECRETS: { good: `booking:${SECRET}`, config: {}, bad: SECRET },
  DIGITAL_SAMBA_WEBHOOK_SECRET: { good: KEY, config: { webhookSecret: KEY }, bad: 'sEcReT too' },
  OPERATOR_KEYS: {
    good: `ops:${KEY}`,
    config: { keys: [...DEFAULTS.keys, apiKey('ops', KEY, true)] },
    bad: `ops: ${KEY}`,
  },
  READ_KEYS: {
    good: `desk:${KEY}`,
    config: { keys: [...DEFAULTS.keys, readKey('desk', KEY)] },
    bad: `desk: ${KEY}`,
  },
}

/** All that is required but for one, so that a file may give it. */
const without = (name: string): Env => ({
  ...Object.fromEntries(Object.entries(REQUIRED).filter(([other]) => other !== name)),
  ...BESIDE[name as keyof typeof BESIDE],
})

for (const [name, { good, config, bad }] of Object.entries(IN_FILES)) {
  const inFile = (file: string): Env => ({ ...without(name), [`${name}_FILE`]: file })
  const emptied = Object.fromEntries(Object.keys(REQUIRED).map((other) => [other, '']))

  t.test(`${name} from a file`, async (t) => {
    const folder = t.testdir({ plain: good, unix: `${good}\n`, windows: `${good}\r\n` })
    for (const file of ['plain', 'unix', 'windows']) {
      for (const path of [join(folder, file), file, `./${file}`]) {
        const env = { ...emptied, ...inFile(path) }
        t.strictSame(await read(env, folder), { ...DEFAULTS, ...config }, path)
      }
      const empty = { ...inFile(join(folder, file)), [name]: '' }
      t.strictSame(await read(empty), { ...DEFAULTS, ...config }, 'beside an empty value')
    }
  })

  t.test(`${name} from a file that is none`, async (t) => {
    const folder = t.testdir({ folder: {}, empty: '', newline: '\n', windows: '\r\n', bad: bad ?? '' })
    for (const [file, line] of [
      ['missing', 'must name a file that can be read (ENOENT)'],
      ['folder', 'must name a file that can be read (EISDIR)'],
      ['bad/below', 'must name a file that can be read (ENOTDIR)'],
      ['empty', 'must name a file that is not empty'],
      ['newline', 'must name a file that is not empty'],
      ['windows', 'must name a file that is not empty'],
    ] as const)
      t.same(await problems(inFile(join(folder, file))), [`${name}_FILE ${line}`], file)
    if (!bad) return
    const lines = await problems(inFile(join(folder, 'bad')))
    t.equal(lines.length, 1)
    t.match(lines[0], new RegExp(`^${name} must be `))
    t.notMatch(lines[0], 'sEcReT', 'what the file holds is not repeated')
  })

  t.test(`${name} both ways`, async (t) => {
    const folder = t.testdir({ file: good })
    for (const file of ['file', 'missing']) {
      const lines = await problems({ ...inFile(file), [name]: good }, folder)
      t.same(lines, [`${name}_FILE must not be set beside ${name}: one of them`], file)
    }
  })
}

t.test('every secret can come from a file, and nothing else can', async (t) => {
  t.same(Object.keys(IN_FILES).sort(), [...SECRETS].sort())
  t.strictSame(await read({ HOST_FILE: '/missing', PORT_FILE: '/missing' }), DEFAULTS)
})

t.test('.env, where the environment says nothing else', async (t) => {
  const folder = t.testdir({
    '.env': `# with a comment\nPORT=1234\nHOST="0.0.0.0"\nLOG_LEVEL=\nexport RETRY_FOR='5m' # and another\nPATH=/\n`,
  })
  const fromFile = { ...DEFAULTS, port: 1234, host: '0.0.0.0', retryForMs: 300_000 }
  t.strictSame(await read({}, folder), fromFile)
  t.strictSame(await read({ PORT: '4321' }, folder), { ...fromFile, port: 4321 }, 'the environment wins')
  t.strictSame(await read({ PORT: '' }, folder), fromFile, 'but not with an empty value')
  t.strictSame(await read({}, join(folder, 'elsewhere')), DEFAULTS, 'no other directory counts')
})

t.test('what is wrong in .env is said as of the environment', async (t) => {
  const folder = t.testdir({ '.env': `PORT=sEcReT\nAPI_KEYS=caller:sEcReT\n` })
  const { API_KEYS } = REQUIRED
  await refused(t, {}, /^PORT must be a whole number/, folder, ['sEcReT'])
  const lines = await problems(without('API_KEYS'), folder)
  t.same(
    lines.map((line) => line.split(' ')[0]),
    ['PORT', 'API_KEYS'],
  )
  t.notMatch(lines.join(), 'sEcReT')
  t.equal((await read({ PORT: '1', API_KEYS }, folder)).port, 1, 'unless the environment mends it')
})

t.test('a file that .env names is looked for beside it', async (t) => {
  const folder = t.testdir({
    '.env': 'API_KEYS_FILE=secrets/keys\nDATABASE_URL_FILE=./secrets/missing\n',
    secrets: { keys: `caller:${KEY}\n` },
  })
  const env = without('API_KEYS')
  t.match(await problems(env, folder), ['DATABASE_URL_FILE must name a file that can be read (ENOENT)'])
  writeFileSync(join(folder, 'secrets/missing'), 'file:elsewhere.db\n')
  const expected = { ...DEFAULTS, databaseUrl: 'file:elsewhere.db', keys: [apiKey('caller', KEY)] }
  t.strictSame(await read({ ...env, API_KEYS: '' }, folder), expected)
  const own = await read({ ...REQUIRED, DATABASE_URL: 'file:x' }, folder)
  t.strictSame(
    own,
    { ...DEFAULTS, databaseUrl: 'file:x' },
    "the environment's value overrules the file in .env",
  )
  const other = join(folder, 'secrets/keys')
  writeFileSync(join(folder, '.env'), `API_KEYS=other:${KEY}`)
  t.strictSame((await read({ ...env, API_KEYS: '', API_KEYS_FILE: other }, folder)).keys, expected.keys)
})

t.test('an .env that cannot be read is a problem like others', async (t) => {
  const folder = t.testdir({})
  // What a container gets where the file it mounts is not there.
  mkdirSync(join(folder, '.env'))
  await refused(t, {}, /^\.env must be a file that can be read \(EISDIR\)/, folder)
})

t.test('what is misspelled in .env is told apart', async (t) => {
  const folder = t.testdir({ '.env': 'WARN_MINUTE=5\nPORT=1\nAPI_KEYS_FILE=keys\nPORT_FILE=x\nport=2\n' })
  t.same(unknownInDotEnv(folder), ['PORT_FILE', 'WARN_MINUTE', 'port'])
  t.same(unknownInDotEnv('/nonexistent'), [])
})
