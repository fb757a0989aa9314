import type { Credentials } from '../digital-samba/credentials.ts'
import type { Receiver } from '../notification.ts'
import { parseDuration } from '../time.ts'
import { LONGEST_LIMIT_MINUTES, MINUTE_MS } from '../time-limits/rules.ts'
import { Environment } from './environment.ts'
import { type ApiKey, type EventSecret, parseKeys, parseSecrets } from './keys.ts'
import { isLoopback, parseReceivers } from './receivers.ts'

/** The configuration as the service uses it: durations in ms, keys as hashes. */
export interface Config {
  host: string
  port: number
  log: { level: Environment['LOG_LEVEL']; format: Environment['LOG_FORMAT'] }
  digitalSamba: { url: string; credentials: Credentials; timeoutMs: number }
  databaseUrl: string
  /** how long to wait for PostgreSQL at the start */
  databaseWaitMs: number
  keys: ApiKey[]
  /** of one caller, answered by one process */
  requestsPerMinute: number
  eventSecrets: EventSecret[]
  /** who is told of its endings, and where */
  receivers: Receiver[]
  /** undefined where Digital Samba's webhooks are not taken in */
  webhookSecret: string | undefined
  bookingGraceMs: number
  maxTargetsPerEvent: number
  maxTargetsPerRequest: number
  callsPerMinute: number
  /** at least as many */
  urgentCallsPerMinute: number
  maxConcurrentCalls: number
  retryForMs: number
  shutdownGraceMs: number
  /** how long to go on answering when told to stop, while nobody new is to be sent here */
  drainDelayMs: number
  retentionDays: number
  sweepIntervalMs: number
  /** undefined where rooms without a rule have no limit */
  defaultLimitMinutes: number | undefined
  warnMinutes: number[]
  warningText: string
}

/** Everything that is wrong with the configuration, a line each. No line repeats a value: it may be a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code = 'BAD_CONFIG'
  readonly problems: string[]

  constructor(problems: string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

/** As Ajv says it. */
export interface SchemaError {
  instancePath: string
  keyword: string
  params: { missingProperty?: string }
}

/** What a schema's error means to somebody who writes the configuration. */
export function problemOf({ instancePath, params }: SchemaError): string {
  const missing = params.missingProperty
  const name = (missing ?? instancePath.slice(1)) as keyof typeof Environment.properties
  const wanted = (Environment.properties[name] as { description?: string }).description
  return missing ? `${name} is required: ${wanted}` : `${name} must be ${wanted}`
}

/** What no single pattern can say, for those variables that are well-formed. */
export function crossChecks(
  values: Partial<Record<string, string>>,
  isGood: (name: string) => boolean,
): string[] {
  const good = (name: string) => (isGood(name) ? values[name] : undefined)
  return [
    ...checkUrl(good('DIGITAL_SAMBA_URL'), values.DIGITAL_SAMBA_ALLOW_HTTP === 'true'),
    ...checkDatabase(good('DATABASE_URL')),
    ...parseKeys({
      callers: good('API_KEYS'),
      operators: good('OPERATOR_KEYS'),
      readers: good('READ_KEYS'),
    }).problems,
    ...parseSecrets(good('EVENT_SECRETS')).problems,
    ...checkReceivers(values, good),
    ...checkNumbers(good),
    ...checkUrgentCalls(good('URGENT_CALLS_PER_MINUTE'), good('CALLS_PER_MINUTE')),
    ...['SHUTDOWN_GRACE', 'DRAIN_DELAY', 'DATABASE_WAIT'].flatMap((name) => checkGrace(name, good(name))),
    ...checkSweep(good('SWEEP_INTERVAL')),
    ...checkLimit(good('DEFAULT_TIME_LIMIT')),
    ...checkWarnings(good('WARN_MINUTES')),
  ]
}

/** Where something is wrong with the other lists, that is what has to be put right first. */
function checkReceivers(
  values: Partial<Record<string, string>>,
  good: (name: string) => string | undefined,
): string[] {
  const lists = ['NOTIFY_SECRETS', 'API_KEYS', 'OPERATOR_KEYS', 'EVENT_SECRETS']
  if (lists.some((name) => values[name] !== good(name))) return []
  return parseReceivers({
    urls: good('NOTIFY_URLS'),
    secrets: good('NOTIFY_SECRETS'),
    allowHttp: values.NOTIFY_ALLOW_HTTP === 'true',
    callers: callersOf(values),
  }).problems
}

type Askers = Partial<Record<'API_KEYS' | 'OPERATOR_KEYS' | 'EVENT_SECRETS', string | undefined>>

function callersOf({ API_KEYS, OPERATOR_KEYS, EVENT_SECRETS }: Askers): Set<string> {
  const { keys } = parseKeys({ callers: API_KEYS, operators: OPERATOR_KEYS })
  return new Set([...keys, ...parseSecrets(EVENT_SECRETS).secrets].map(({ name }) => name))
}

/** Ajv takes for a number what JavaScript's Number() does, "Infinity" and "0x50" included. */
function checkNumbers(good: (name: string) => string | undefined): string[] {
  const properties = Object.entries(Environment.properties) as Array<
    [string, { type?: string; description?: string }]
  >
  const numbers = properties.filter(([, { type }]) => type === 'integer')
  return numbers.flatMap(([name, { description }]) =>
    /^\d{1,9}$/.test(good(name) ?? '0') ? [] : [`${name} must be ${description}`],
  )
}

function checkUrgentCalls(urgent: string | undefined, all = '900'): string[] {
  if (urgent === undefined || !/^\d+$/.test(urgent) || Number(urgent) >= Number(all)) return []
  return [`URGENT_CALLS_PER_MINUTE must be at least CALLS_PER_MINUTE, which is ${Number(all)}`]
}

// What the vendor allows a team, unless this team has been told otherwise.
const VENDORS_LIMIT = 1000

/** A few more than for all others, so that an urgent ending finds a call when a crowd has used up the rest. */
function urgentCalls({ CALLS_PER_MINUTE: all, URGENT_CALLS_PER_MINUTE: urgent }: Environment): number {
  const more = Math.ceil(all * 1.05)
  return urgent ?? (all > VENDORS_LIMIT ? more : Math.min(more, VENDORS_LIMIT))
}

function checkSweep(text: string | undefined): string[] {
  const ms = text === undefined ? 30_000 : (parseDuration(text) as number)
  return ms >= 1000 && ms <= 3_600_000 ? [] : ['SWEEP_INTERVAL must be from 1s to 1h']
}

function checkLimit(text: string | undefined): string[] {
  const minutes = text === undefined ? 1 : (parseDuration(text) as number) / MINUTE_MS
  if (Number.isInteger(minutes) && minutes >= 1 && minutes <= LONGEST_LIMIT_MINUTES) return []
  return ['DEFAULT_TIME_LIMIT must be whole minutes, from 1m to 168h']
}

function checkWarnings(list: string | undefined): string[] {
  const minutes = parseMinutes(list)
  if (new Set(minutes).size === minutes.length && minutes.every((count) => count <= 1440)) return []
  return ['WARN_MINUTES must be different numbers of minutes, from 1 to 1440']
}

/** The longest first. */
function parseMinutes(list = ''): number[] {
  return list
    .split(',')
    .filter((text) => text !== '')
    .map(Number)
    .sort((a, b) => b - a)
}

// The timer behind it holds 24 days at most, and nobody waits that long for a process to stop.
const LONGEST_GRACE_MS = 24 * 3_600_000

function checkGrace(name: string, text: string | undefined): string[] {
  if (text === undefined || (parseDuration(text) as number) <= LONGEST_GRACE_MS) return []
  return [`${name} must be at most 24h`]
}

function checkUrl(text: string | undefined, allowHttp: boolean): string[] {
  if (text === undefined) return []
  const url = URL.parse(text)
  if (!url) return ['DIGITAL_SAMBA_URL must be a URL such as https://api.digitalsamba.com']
  if (url.protocol === 'https:' || isLoopback(url.hostname) || allowHttp) return []
  return [
    'DIGITAL_SAMBA_URL must begin with https:// (http:// only to this machine, or with DIGITAL_SAMBA_ALLOW_HTTP=true)',
  ]
}

function checkDatabase(url: string | undefined): string[] {
  if (url === undefined || url.startsWith('file:') || URL.canParse(url)) return []
  return ['DATABASE_URL must be file:PATH for SQLite or postgres://USER:PASSWORD@HOST/DATABASE']
}

export function toConfig(environment: Environment): Config {
  const ms = (text: string) => parseDuration(text) as number
  return {
    host: environment.HOST,
    port: environment.PORT,
    log: { level: environment.LOG_LEVEL, format: environment.LOG_FORMAT },
    digitalSamba: {
      url: environment.DIGITAL_SAMBA_URL,
      credentials: {
        form: environment.DIGITAL_SAMBA_AUTH,
        teamId: environment.DIGITAL_SAMBA_TEAM_ID,
        developerKey: environment.DIGITAL_SAMBA_DEVELOPER_KEY,
      },
      timeoutMs: environment.CALL_TIMEOUT_MS,
    },
    databaseUrl: environment.DATABASE_URL,
    databaseWaitMs: ms(environment.DATABASE_WAIT),
    keys: parseKeys({
      callers: environment.API_KEYS,
      operators: environment.OPERATOR_KEYS,
      readers: environment.READ_KEYS,
    }).keys,
    requestsPerMinute: environment.REQUESTS_PER_MINUTE,
    eventSecrets: parseSecrets(environment.EVENT_SECRETS).secrets,
    receivers: parseReceivers({
      urls: environment.NOTIFY_URLS,
      secrets: environment.NOTIFY_SECRETS,
      allowHttp: environment.NOTIFY_ALLOW_HTTP === 'true',
      callers: callersOf(environment),
    }).receivers,
    webhookSecret: environment.DIGITAL_SAMBA_WEBHOOK_SECRET,
    bookingGraceMs: ms(environment.BOOKING_GRACE),
    maxTargetsPerEvent: environment.MAX_TARGETS_PER_EVENT,
    maxTargetsPerRequest: environment.MAX_TARGETS_PER_REQUEST,
    callsPerMinute: environment.CALLS_PER_MINUTE,
    urgentCallsPerMinute: urgentCalls(environment),
    maxConcurrentCalls: environment.MAX_CONCURRENT_CALLS,
    retryForMs: ms(environment.RETRY_FOR),
    shutdownGraceMs: ms(environment.SHUTDOWN_GRACE),
    drainDelayMs: ms(environment.DRAIN_DELAY),
    retentionDays: environment.RETENTION_DAYS,
    sweepIntervalMs: ms(environment.SWEEP_INTERVAL),
    defaultLimitMinutes:
      environment.DEFAULT_TIME_LIMIT === undefined
        ? undefined
        : ms(environment.DEFAULT_TIME_LIMIT) / MINUTE_MS,
    warnMinutes: parseMinutes(environment.WARN_MINUTES),
    warningText: environment.WARNING_TEXT,
  }
}
