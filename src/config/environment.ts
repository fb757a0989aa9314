import { type Static, Type } from 'typebox'
import { AUTH_FORMS } from '../digital-samba/credentials.ts'

/*
 * The environment as it may be written. Every `description` completes the sentence "NAME must be …", which is what
 * somebody with a mistake in it reads.
 */
const wholeNumber = (minimum: number, maximum: number, byDefault: number) =>
  Type.Integer({
    minimum,
    maximum,
    default: byDefault,
    description: `a whole number from ${minimum} to ${maximum}`,
  })

const choice = <const T extends readonly string[]>(values: T, byDefault: T[number]) =>
  Type.Unsafe<T[number]>({
    type: 'string',
    enum: [...values],
    default: byDefault,
    description: `one of ${values.join(', ')}`,
  })

const duration = (byDefault: string) =>
  Type.String({
    pattern: '^\\d{1,9}(ms|s|m|h)$',
    default: byDefault,
    description: 'a duration such as 250ms, 5s, 10m or 6h',
  })

const text = (description: string) => Type.String({ minLength: 1, description })

// A hash whose name was left out is no caller of that name, whose key would be the hash.
const NAMED_KEY = '(?!sha256:)[a-z][a-z0-9-]*:([A-Za-z0-9_-]{24,}|sha256:[0-9A-Fa-f]{64})'
const keys = Type.String({
  pattern: `^${NAMED_KEY}(,${NAMED_KEY})*$`,
  description:
    'a list such as booking:KEY,billing:KEY, where a name is lower-case letters, digits and -, and a KEY 24 or more of A-Z a-z 0-9 _ -, or sha256: and the 64 hex digits of its SHA-256',
})

// Standard Webhooks: 24 bytes or more in base64.
const NAMED_SECRET = '[a-z][a-z0-9-]*:whsec_[A-Za-z0-9+/]{32,}={0,2}'
const signingSecrets = Type.String({
  pattern: `^${NAMED_SECRET}(,${NAMED_SECRET})*$`,
  description:
    'a list such as billing:whsec_SECRET, where a name is lower-case letters, digits and -, and a SECRET at least 24 bytes in base64',
})

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

export const Environment = Type.Object({
  HOST: Type.String({ minLength: 1, default: '127.0.0.1', description: 'an address to listen on' }),
  PORT: wholeNumber(0, 65535, 3000),
  LOG_LEVEL: choice(LOG_LEVELS, 'info'),
  LOG_FORMAT: choice(['json', 'pretty'], 'json'),
  DIGITAL_SAMBA_URL: Type.String({
    default: 'https://api.digitalsamba.com',
    pattern: '^https?://[^\\s@/?#\\\\]+/?$',
    description: 'a URL such as https://api.digitalsamba.com, with neither path nor credentials',
  }),
  DIGITAL_SAMBA_ALLOW_HTTP: choice(['true', 'false'], 'false'),
  DIGITAL_SAMBA_TEAM_ID: text("the team's id"),
  DIGITAL_SAMBA_DEVELOPER_KEY: Type.String({
    pattern: '^[\\x21-\\x7e]+$',
    description: "the team's developer key, without spaces and line breaks",
  }),
  DIGITAL_SAMBA_AUTH: choice(AUTH_FORMS, 'basic'),
  DIGITAL_SAMBA_WEBHOOK_SECRET: Type.Optional(
    Type.String({
      pattern: '^[\\x21-\\x7e]{16,}$',
      description: '16 or more printable characters, without a space',
    }),
  ),
  DATABASE_URL: Type.String({
    default: 'file:./data/curfew.db',
    pattern: '^(file:[^:].*|postgres(ql)?://.+)$',
    description: 'file:PATH for SQLite or postgres://USER:PASSWORD@HOST/DATABASE',
  }),
  DATABASE_WAIT: duration('30s'),
  API_KEYS: keys,
  OPERATOR_KEYS: Type.Optional(keys),
  READ_KEYS: Type.Optional(keys),
  REQUESTS_PER_MINUTE: wholeNumber(1, 10_000_000, 6000),
  EVENT_SECRETS: Type.Optional(signingSecrets),
  NOTIFY_URLS: Type.Optional(
    Type.String({
      pattern: '^[a-z][a-z0-9-]*:https?://[\\x21-\\x7e]+$',
      description:
        'a list such as booking:https://booking.internal/curfew, where a name is lower-case letters, digits and -, without spaces',
    }),
  ),
  NOTIFY_SECRETS: Type.Optional(signingSecrets),
  NOTIFY_ALLOW_HTTP: choice(['true', 'false'], 'false'),
  CALL_TIMEOUT_MS: wholeNumber(100, 60_000, 5000),
  CALLS_PER_MINUTE: wholeNumber(1, 100_000, 900),
  URGENT_CALLS_PER_MINUTE: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 105_000, description: 'a whole number from 1 to 105000' }),
  ),
  MAX_CONCURRENT_CALLS: wholeNumber(1, 1000, 10),
  RETRY_FOR: duration('6h'),
  BOOKING_GRACE: duration('0s'),
  SHUTDOWN_GRACE: duration('10s'),
  DRAIN_DELAY: duration('0s'),
  MAX_TARGETS_PER_EVENT: wholeNumber(1, 10_000, 200),
  MAX_TARGETS_PER_REQUEST: wholeNumber(1, 100_000, 1000),
  RETENTION_DAYS: wholeNumber(1, 36_500, 90),
  SWEEP_INTERVAL: duration('30s'),
  DEFAULT_TIME_LIMIT: Type.Optional(
    Type.String({
      pattern: '^\\d{1,9}(ms|s|m|h)$',
      description: 'a duration of whole minutes such as 50m or 2h',
    }),
  ),
  WARN_MINUTES: Type.Optional(
    Type.String({
      pattern: '^[1-9]\\d{0,3}(,[1-9]\\d{0,3}){0,9}$',
      description: 'up to ten numbers of minutes such as 10,2',
    }),
  ),
  WARNING_TEXT: Type.String({
    minLength: 1,
    maxLength: 500,
    default: 'This session ends in {minutes} min, at {time}.',
    description: 'a text of 1 to 500 characters, with {minutes} and {time} where they belong',
  }),
})
export type Environment = Static<typeof Environment>

/** Any of these can come from a file instead: NAME_FILE names it. */
export const SECRETS = [
  'DIGITAL_SAMBA_TEAM_ID',
  'DIGITAL_SAMBA_DEVELOPER_KEY',
  'DATABASE_URL',
  'API_KEYS',
  'OPERATOR_KEYS',
  'READ_KEYS',
  'EVENT_SECRETS',
  'NOTIFY_URLS',
  'NOTIFY_SECRETS',
  'DIGITAL_SAMBA_WEBHOOK_SECRET',
] as const
