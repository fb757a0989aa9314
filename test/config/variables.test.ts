import t from 'tap'
import type { Config } from '../../src/config/config.ts'
import { Environment } from '../../src/config/environment.ts'
import { hashedForm } from '../../src/config/keys.ts'
import { readConfig } from '../../src/plugins/environment.ts'
import { apiKey, BESIDE, DEFAULTS, type Name, NOWHERE, problems, REQUIRED, read, readKey } from './cases.ts'
import { BAD } from './values.ts'

const NAMES = Object.keys(Environment.properties) as Name[]
// No text is wrong for these; they can only be missing, or have a default.
const ANY_TEXT: Name[] = ['HOST', 'DIGITAL_SAMBA_TEAM_ID', 'DIGITAL_SAMBA_DEVELOPER_KEY']

const OTHER = 'another-key_0123456789ABC'
const SHORTEST = 'a_-Z0'.padEnd(24, '0')
const SECRET = `whsec_${'A+/9'.repeat(8)}`
const samba = DEFAULTS.digitalSamba
const credentials = samba.credentials
const GOOD: { [name in Name]: [value: string, config: Partial<Config>][] } = {
  HOST: ['0.0.0.0', '::', 'localhost', 'curfew.internal'].map((host) => [host, { host }]),
  PORT: [0, 1, 80, 65535].map((port) => [`${port}`, { port }]),
  LOG_LEVEL: (['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const).map((level) => [
    level,
    { log: { ...DEFAULTS.log, level } },
  ]),
  LOG_FORMAT: (['json', 'pretty'] as const).map((format) => [format, { log: { ...DEFAULTS.log, format } }]),
  DIGITAL_SAMBA_URL: [
    'https://api.example.org',
    'https://api.example.org/',
    'https://api.example.org:8443',
    'https://192.0.2.7',
    'https://[2001:db8::1]:8443/',
  ].map((url) => [url, { digitalSamba: { ...samba, url } }]),
  DIGITAL_SAMBA_ALLOW_HTTP: [
    ['true', {}],
    ['false', {}],
  ],
  DIGITAL_SAMBA_TEAM_ID: ['7', 'a team', 'tëam', '$HOME', '0'].map((teamId) => [
    teamId,
    { digitalSamba: { ...samba, credentials: { ...credentials, teamId } } },
  ]),
  DIGITAL_SAMBA_DEVELOPER_KEY: ['k', 'a:b', 'a=b#c', "it's", 'x'.repeat(4096)].map((developerKey) => [
    developerKey,
    { digitalSamba: { ...samba, credentials: { ...credentials, developerKey } } },
  ]),
  DIGITAL_SAMBA_AUTH: (['basic', 'bearer', 'bearer-team'] as const).map((form) => [
    form,
    { digitalSamba: { ...samba, credentials: { ...credentials, form } } },
  ]),
  DATABASE_URL: [
    'file:curfew.db',
    'file:/data/curfew.db',
    'file:../a folder/curfew.db',
    'postgres://curfew:secret@db/curfew',
    'postgresql://curfew:s%40cret@db.internal:5433/curfew?sslmode=require',
    'postgres://curfew@[2001:db8::1]/curfew',
  ].map((databaseUrl) => [databaseUrl, { databaseUrl }]),
  API_KEYS: [
    [`a:${SHORTEST}`, { keys: [apiKey('a', SHORTEST)] }],
    [`a-1:${SHORTEST},b2:${OTHER}`, { keys: [apiKey('a-1', SHORTEST), apiKey('b2', OTHER)] }],
    [`a:${hashedForm(OTHER)}`, { keys: [apiKey('a', OTHER)] }],
    [`a:${hashedForm(OTHER).toUpperCase().replace('SHA', 'sha')}`, { keys: [apiKey('a', OTHER)] }],
    [`a:${'k'.repeat(4096)}`, { keys: [apiKey('a', 'k'.repeat(4096))] }],
  ],
  OPERATOR_KEYS: [
    [`ops:${SHORTEST}`, { keys: [...DEFAULTS.keys, apiKey('ops', SHORTEST, true)] }],
    [
      `ops:${SHORTEST},more:${OTHER}`,
      { keys: [...DEFAULTS.keys, apiKey('ops', SHORTEST, true), apiKey('more', OTHER, true)] },
    ],
  ],
  READ_KEYS: [
    [`desk:${SHORTEST}`, { keys: [...DEFAULTS.keys, readKey('desk', SHORTEST)] }],
    [`desk:${hashedForm(OTHER)}`, { keys: [...DEFAULTS.keys, readKey('desk', OTHER)] }],
  ],
  REQUESTS_PER_MINUTE: [1, 600, 10_000_000].map((requestsPerMinute) => [
    `${requestsPerMinute}`,
    { requestsPerMinute },
  ]),
  EVENT_SECRETS: [
    [`a:${SECRET}`, { eventSecrets: [{ name: 'a', secret: SECRET }] }],
    [
      `a:${SECRET},a:${SECRET}AA==`,
      {
        eventSecrets: [
          { name: 'a', secret: SECRET },
          { name: 'a', secret: `${SECRET}AA==` },
        ],
      },
    ],
  ],
  NOTIFY_URLS: [
    'https://booking.example.org',
    'https://booking.example.org:8443/curfew?token=a,b&c=d',
    'https://somebody:password@booking.example.org/',
    'http://127.0.0.1:8080/curfew',
    'http://localhost/',
    'http://[::1]:8080/',
  ].map((url) => [`booking:${url}`, { receivers: [{ caller: 'booking', url, secrets: [SECRET] }] }]),
  NOTIFY_SECRETS: [`booking:${SECRET}`, `nobody:${SECRET},nobody:${SECRET}AA==`].map((value) => [value, {}]),
  NOTIFY_ALLOW_HTTP: ['true', 'false'].map((value) => [value, {}]),
  DIGITAL_SAMBA_WEBHOOK_SECRET: ['0123456789abcdef', "it's-a:secret,of!sorts"].map((webhookSecret) => [
    webhookSecret,
    { webhookSecret },
  ]),
  MAX_TARGETS_PER_EVENT: [1, 10_000].map((maxTargetsPerEvent) => [
    `${maxTargetsPerEvent}`,
    { maxTargetsPerEvent },
  ]),
  MAX_TARGETS_PER_REQUEST: [1, 100_000].map((maxTargetsPerRequest) => [
    `${maxTargetsPerRequest}`,
    { maxTargetsPerRequest },
  ]),
  BOOKING_GRACE: durations().map(([text, bookingGraceMs]) => [text, { bookingGraceMs }]),
  CALL_TIMEOUT_MS: [100, 2500, 60_000].map((timeoutMs) => [
    `${timeoutMs}`,
    { digitalSamba: { ...samba, timeoutMs } },
  ]),
  CALLS_PER_MINUTE: (
    [
      [1, 2],
      [900, 945],
      [990, 1000],
      [1000, 1000],
      [2000, 2100],
      [100_000, 105_000],
    ] as const
  ).map(([callsPerMinute, urgentCallsPerMinute]) => [
    `${callsPerMinute}`,
    { callsPerMinute, urgentCallsPerMinute },
  ]),
  URGENT_CALLS_PER_MINUTE: [900, 1000, 105_000].map((urgentCallsPerMinute) => [
    `${urgentCallsPerMinute}`,
    { urgentCallsPerMinute },
  ]),
  MAX_CONCURRENT_CALLS: [1, 25, 1000].map((maxConcurrentCalls) => [
    `${maxConcurrentCalls}`,
    { maxConcurrentCalls },
  ]),
  RETRY_FOR: durations().map(([text, retryForMs]) => [text, { retryForMs }]),
  DATABASE_WAIT: durations().map(([text, databaseWaitMs]) => [text, { databaseWaitMs }]),
  DRAIN_DELAY: durations().map(([text, drainDelayMs]) => [text, { drainDelayMs }]),
  SHUTDOWN_GRACE: durations().map(([text, shutdownGraceMs]) => [text, { shutdownGraceMs }]),
  SWEEP_INTERVAL: [
    ['1s', { sweepIntervalMs: 1000 }],
    ['5m', { sweepIntervalMs: 300_000 }],
    ['1h', { sweepIntervalMs: 3_600_000 }],
  ],
  DEFAULT_TIME_LIMIT: [
    ['1m', { defaultLimitMinutes: 1 }],
    ['2h', { defaultLimitMinutes: 120 }],
    ['180s', { defaultLimitMinutes: 3 }],
    ['168h', { defaultLimitMinutes: 10_080 }],
  ],
  WARN_MINUTES: [
    ['5', { warnMinutes: [5] }],
    ['2,1440,10', { warnMinutes: [1440, 10, 2] }],
  ],
  WARNING_TEXT: ['x', 'Noch {minutes} min, bis {time}'].map((warningText) => [warningText, { warningText }]),
  RETENTION_DAYS: [1, 30, 36_500].map((retentionDays) => [`${retentionDays}`, { retentionDays }]),
}

function durations(): [string, number][] {
  return [
    ['0s', 0],
    ['1ms', 1],
    ['250ms', 250],
    ['90s', 90_000],
    ['10m', 600_000],
    ['24h', 86_400_000],
  ]
}

t.test('where only what is required is set, the rest has its default', async (t) => {
  t.strictSame(await readConfig(REQUIRED, NOWHERE), DEFAULTS)
  const foreign = { PATH: '/bin', HOSTNAME: 'x', PORT_FILE: '/etc/passwd', port: '1', npm_config_port: '2' }
  t.strictSame(await read(foreign), DEFAULTS, 'and what is not ours is not looked at')
})

for (const name of NAMES)
  t.test(`${name} as it may be`, async (t) => {
    for (const [value, config] of GOOD[name])
      t.strictSame(
        await read({ ...BESIDE[name], [name]: value }),
        { ...DEFAULTS, ...config },
        JSON.stringify(value.slice(0, 80)),
      )
  })

t.test('every variable has bad values below, or can have none', async (t) => {
  t.same([...Object.keys(BAD), ...ANY_TEXT].sort(), [...NAMES].sort())
})

for (const [name, { wanted, values }] of Object.entries(BAD))
  t.test(`${name} as it must not be`, async (t) => {
    // Compared as a whole: a line that is the same for every value repeats none.
    const line = `${name} must be ${wanted}`
    const lines = [line, `${line}, with neither path nor credentials`]
    for (const value of values) {
      const found = await problems({ ...REQUIRED, [name]: value })
      t.equal(found.length, 1, `${JSON.stringify(value)} makes one line`)
      t.ok(lines.includes(`${found[0]}`), `${JSON.stringify(value)}: ${found[0]}`)
    }
  })
