import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import { type Config, ConfigError } from '../../src/config/config.ts'
import type { Environment } from '../../src/config/environment.ts'
import { readConfig } from '../../src/plugins/environment.ts'

export type Name = keyof Environment
export type Env = Record<string, string>

/** A directory without `.env`. */
export const NOWHERE = '/nonexistent'

export const KEY = 'booking-key-0000000000000'
export const REQUIRED = {
  DIGITAL_SAMBA_TEAM_ID: 'a-team',
  DIGITAL_SAMBA_DEVELOPER_KEY: 'a-developer-key',
  API_KEYS: `booking:${KEY}`,
} as const

export function readKey(name: string, key: string) {
  return { ...apiKey(name, key), readOnly: true as const }
}

export function apiKey(name: string, key: string, operator = false) {
  return { name, operator, digest: createHash('sha256').update(key).digest() }
}

/** What a variable cannot be set without, where that is more than what is required. */
export const BESIDE: { [name in Name]?: Env } = {
  NOTIFY_URLS: { NOTIFY_SECRETS: `booking:whsec_${'A+/9'.repeat(8)}` },
}

/** What Curfew does where nothing but what is required is set. */
export const DEFAULTS: Config = {
  host: '127.0.0.1',
  port: 3000,
  log: { level: 'info', format: 'json' },
  digitalSamba: {
    url: 'https://api.digitalsamba.com',
    credentials: { form: 'basic', teamId: 'a-team', developerKey: 'a-developer-key' },
    timeoutMs: 5000,
  },
  databaseUrl: 'file:./data/curfew.db',
  keys: [apiKey('booking', KEY)],
  requestsPerMinute: 6000,
  eventSecrets: [],
  receivers: [],
  webhookSecret: undefined,
  bookingGraceMs: 0,
  maxTargetsPerEvent: 200,
  maxTargetsPerRequest: 1000,
  callsPerMinute: 900,
  urgentCallsPerMinute: 945,
  maxConcurrentCalls: 10,
  retryForMs: 21_600_000,
  shutdownGraceMs: 10_000,
  drainDelayMs: 0,
  databaseWaitMs: 30_000,
  retentionDays: 90,
  sweepIntervalMs: 30_000,
  defaultLimitMinutes: undefined,
  warnMinutes: [],
  warningText: 'This session ends in {minutes} min, at {time}.',
}

export const read = (env: Env = {}, directory = NOWHERE) => readConfig({ ...REQUIRED, ...env }, directory)

/** The lines of a configuration that has to be refused, and none where it was not. */
export async function problems(env: Env, directory = NOWHERE): Promise<string[]> {
  try {
    await readConfig(env, directory)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

/** Asserts that `env` beside what is required is refused with this one line, which repeats none of `secrets`. */
export async function refused(t: Test, env: Env, line: RegExp, directory = NOWHERE, secrets: string[] = []) {
  const lines = await problems({ ...REQUIRED, ...env }, directory)
  const what = JSON.stringify(env)
  t.equal(lines.length, 1, `${what} makes one line`)
  t.match(lines[0], line, what)
  for (const secret of secrets) t.notOk(lines.join('\n').includes(secret), 'which repeats no secret')
}
