import type { Name } from './cases.ts'

const KEYS_WANTED =
  'a list such as booking:KEY,billing:KEY, where a name is lower-case letters, digits and -, and a KEY 24 or more of A-Z a-z 0-9 _ -, or sha256: and the 64 hex digits of its SHA-256'

/**
 * What has to be refused, and what the line then says would have been right. The names of callers, the hosts and the
 * keys are none that a line gives as an example, so that one that repeated them would show.
 */
export const BAD: { [name in Name]?: { wanted: string; values: string[] } } = {
  PORT: {
    wanted: 'a whole number from 0 to 65535',
    values: ['-1', '65536', '80.5', '8O80', '３０００', '1_000', '3000,', 'http', 'true', 'null', 'NaN'],
  },
  LOG_LEVEL: {
    wanted: 'one of fatal, error, warn, info, debug, trace, silent',
    values: ['INFO', 'warning', 'verbose', '30', 'info ', 'info,debug', 'off'],
  },
  LOG_FORMAT: { wanted: 'one of json, pretty', values: ['JSON', 'text', 'logfmt', 'json5', 'true'] },
  DIGITAL_SAMBA_URL: {
    wanted: 'a URL such as https://api.digitalsamba.com',
    values: [
      'api.example.org',
      '//api.example.org',
      'ftp://api.example.org',
      'HTTPS//api.example.org',
      'https://',
      'https:///',
      'https://:443',
      'https://[::1',
      'https://api.example.org:99999',
      'https://api.example.org/api/v1',
      'https://api.example.org//',
      'https://api.example.org?a=b',
      'https://api.example.org/#a',
      'https://somebody:sEcReT-password@api.example.org',
      'https://sEcReT-token@api.example.org/',
      'https://api example.org',
      ' https://api.example.org',
    ],
  },
  DIGITAL_SAMBA_ALLOW_HTTP: { wanted: 'one of true, false', values: ['TRUE', 'yes', '1', 'on', 'true '] },
  DIGITAL_SAMBA_AUTH: {
    wanted: 'one of basic, bearer, bearer-team',
    values: ['Basic', 'token', 'bearer_team', 'basic,bearer', 'none'],
  },
  DATABASE_URL: {
    wanted: 'file:PATH for SQLite or postgres://USER:PASSWORD@HOST/DATABASE',
    values: [
      'curfew.db',
      './data/other.db',
      'file:',
      'sqlite:other.db',
      'mysql://curfew:sEcReT-password@db/curfew',
      'postgres:',
      'postgres://',
      'postgres:curfew:sEcReT-password@db/curfew',
      'postgres://curfew:sEcReT-password@db:port/curfew',
      'postgres://curfew:sEcReT/pass?word@db/curfew',
      'postgres://[::1/curfew',
    ],
  },
  API_KEYS: {
    wanted: KEYS_WANTED,
    values: keyLists('caller'),
  },
  OPERATOR_KEYS: {
    wanted: KEYS_WANTED,
    values: keyLists('operator'),
  },
  READ_KEYS: {
    wanted: KEYS_WANTED,
    values: keyLists('reader'),
  },
  REQUESTS_PER_MINUTE: {
    wanted: 'a whole number from 1 to 10000000',
    values: ['0', '10000001', '-1', '6000/min', '0.5', 'unlimited', '6e3'],
  },
  CALL_TIMEOUT_MS: {
    wanted: 'a whole number from 100 to 60000',
    values: ['99', '60001', '0', '-5000', '5s', '250.5', '5000ms', '5,000'],
  },
  CALLS_PER_MINUTE: {
    wanted: 'a whole number from 1 to 100000',
    values: ['0', '100001', '-1', '900/min', '0.5', 'unlimited'],
  },
  URGENT_CALLS_PER_MINUTE: {
    wanted: 'a whole number from 1 to 105000',
    values: ['0', '105001', '-1', 'all', '1e3'],
  },
  MAX_CONCURRENT_CALLS: {
    wanted: 'a whole number from 1 to 1000',
    values: ['0', '1001', '-1', '9.9', 'ten'],
  },
  DIGITAL_SAMBA_WEBHOOK_SECRET: {
    wanted: '16 or more printable characters, without a space',
    values: ['sEcReT-too-short', 'sEcReT with spaces in it', 'sEcReT-0123456789\n', 'sEcReT-0123456789é'].map(
      (v, i) => (i ? v : v.slice(0, 15)),
    ),
  },
  EVENT_SECRETS: {
    wanted:
      'a list such as billing:whsec_SECRET, where a name is lower-case letters, digits and -, and a SECRET at least 24 bytes in base64',
    values: secretLists(),
  },
  NOTIFY_URLS: {
    wanted:
      'a list such as booking:https://booking.internal/curfew, where a name is lower-case letters, digits and -, without spaces',
    values: [
      'https://sEcReT.example.org/curfew',
      'caller:',
      'caller:ftp://sEcReT.example.org',
      'caller:sEcReT.example.org',
      'Caller:https://sEcReT.example.org',
      'caller: https://sEcReT.example.org',
      'caller:https://sEcReT.example.org other:https://sEcReT.example.org',
    ],
  },
  NOTIFY_SECRETS: {
    wanted:
      'a list such as billing:whsec_SECRET, where a name is lower-case letters, digits and -, and a SECRET at least 24 bytes in base64',
    values: secretLists(),
  },
  NOTIFY_ALLOW_HTTP: { wanted: 'one of true, false', values: ['TRUE', 'yes', '1', 'on', 'true '] },
  MAX_TARGETS_PER_EVENT: { wanted: 'a whole number from 1 to 10000', values: ['0', '10001', '-1', 'all'] },
  MAX_TARGETS_PER_REQUEST: {
    wanted: 'a whole number from 1 to 100000',
    values: ['0', '100001', '-1', 'all'],
  },
  BOOKING_GRACE: { wanted: 'a duration such as 250ms, 5s, 10m or 6h', values: durations() },
  RETRY_FOR: { wanted: 'a duration such as 250ms, 5s, 10m or 6h', values: durations() },
  DATABASE_WAIT: { wanted: 'a duration such as 250ms, 5s, 10m or 6h', values: durations() },
  DRAIN_DELAY: { wanted: 'a duration such as 250ms, 5s, 10m or 6h', values: durations() },
  SHUTDOWN_GRACE: { wanted: 'a duration such as 250ms, 5s, 10m or 6h', values: durations() },
  WARN_MINUTES: {
    wanted: 'up to ten numbers of minutes such as 10,2',
    values: [
      '0',
      '10,',
      ',2',
      '10;2',
      '10, 2',
      '-5',
      '1.5',
      'ten',
      '10m',
      '1,2,3,4,5,6,7,8,9,10,11',
      '12345',
    ],
  },
  WARNING_TEXT: {
    wanted: 'a text of 1 to 500 characters, with {minutes} and {time} where they belong',
    values: ['x'.repeat(501)],
  },
  DEFAULT_TIME_LIMIT: { wanted: 'a duration of whole minutes such as 50m or 2h', values: durations() },
  SWEEP_INTERVAL: { wanted: 'a duration such as 250ms, 5s, 10m or 6h', values: durations() },
  RETENTION_DAYS: {
    wanted: 'a whole number from 1 to 36500',
    values: ['0', '36501', '-90', '90d', '1.5', 'forever'],
  },
}

function durations(): string[] {
  return ['21', 'h', '-7h', '+7h', '1.5h', '7 h', ' 7h', '7H', '1d', 'PT7H', '1h30m', '7h\n', '9999999999s']
}

function secretLists(): string[] {
  const secret = `whsec_${'sEcReT0123456789+/AB'.padEnd(32, 'x')}`
  return [
    secret,
    'sender:',
    `sender:${secret.slice(6)}`,
    `sender:${secret.slice(0, 37)}`,
    `sender: ${secret}`,
    `sender:${secret},`,
    `sender:${secret};other:${secret}`,
    `SENDER:${secret}`,
    `sender:${secret}-_`,
    `sender:${secret}===`,
  ]
}

function keyLists(name: string): string[] {
  const key = 'sEcReT-0123456789-abcdefg'
  return [
    key,
    name,
    `${name}:`,
    `:${key}`,
    `${name}:${key.slice(0, 23)}`,
    `${name}=${key}`,
    `${name}: ${key}`,
    `${name}:${key} `,
    `${name}:${key}\n`,
    `${name}:${key},`,
    `,${name}:${key}`,
    `${name}:${key},,other-${name}:${key}x`,
    `${name}:${key}, other-${name}:${key}x`,
    `${name}:${key};other-${name}:${key}x`,
    `${name}:${key},other-${name}:short`,
    `${name.toUpperCase()}:${key}`,
    `1${name}:${key}`,
    `-${name}:${key}`,
    `${name}_x:${key}`,
    `${name}:${key}+/=`,
    `${name}:${key}é`,
    `"${name}:${key}"`,
    `${name}:sha256:${'ab'.repeat(32)}0`,
    `${name}:sha256:${'ab'.repeat(31)}`,
    `${name}:sha256:${'xy'.repeat(32)}`,
    `${name}:SHA256:${'ab'.repeat(32)}`,
    `${name}:sha512:${'ab'.repeat(64)}`,
    `${name}:sha256:${key}`,
    `sha256:${'ab'.repeat(32)}`,
  ]
}
