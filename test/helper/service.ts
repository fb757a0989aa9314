import Fastify, { type InjectOptions, type LightMyRequestResponse } from 'fastify'
import fp from 'fastify-plugin'
import type { Logger } from 'pino'
import type { Test } from 'tap'
import { curfew, serverOptions } from '../../src/app.ts'
import { type Clock, systemClock } from '../../src/clock.ts'
import type { Config } from '../../src/config/config.ts'
import { createLogger } from '../../src/logger.ts'
import { readConfig } from '../../src/plugins/environment.ts'
import type { Ending } from '../../src/routes/ending-schemas.ts'
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/sandbox.ts'
import type { Engine } from '../../src/storage/schema.ts'
import { freshUrl } from './engines.ts'

export const KEYS = {
  booking: 'booking-key-0000000000000',
  billing: 'billing-key-0000000000000',
  desk: 'desk-key-0000000000000000',
  ops: 'ops-key-00000000000000000',
} as const
export type CallerName = keyof typeof KEYS

export interface ServiceOptions {
  engine?: Engine
  /** instead of a fresh database */
  databaseUrl?: string
  clock?: Clock
  sandbox?: Sandbox
  sandboxOptions?: SandboxOptions
  env?: Record<string, string>
  /** every log line, parsed */
  onLog?: (line: Record<string, unknown>) => void
}

/** The environment of a Curfew that talks to `sandbox`; the same for one in this process and for one of its own. */
export function environment(
  sandbox: Pick<Sandbox, 'url'>,
  databaseUrl: string,
  more: Record<string, string> = {},
) {
  return {
    PORT: '0',
    DIGITAL_SAMBA_URL: sandbox.url,
    DIGITAL_SAMBA_TEAM_ID: 'sandbox-team',
    DIGITAL_SAMBA_DEVELOPER_KEY: 'sandbox-developer-key',
    DATABASE_URL: databaseUrl,
    API_KEYS: `booking:${KEYS.booking},billing:${KEYS.billing},desk:${KEYS.desk}`,
    OPERATOR_KEYS: `ops:${KEYS.ops}`,
    // Tests ask faster than callers, and at times that stand still.
    REQUESTS_PER_MINUTE: '10000000',
    ...more,
  }
}

export interface Service {
  app: Awaited<ReturnType<typeof build>>
  sandbox: Sandbox
  clock: Clock
  databaseUrl: string
  /** As `booking`, unless `as` names another caller or `null` for none. */
  request(method: string, url: string, more?: RequestMore): Promise<LightMyRequestResponse>
  /** The ending, once `is` holds for it; looks again whenever the sandbox is called or the ledger changes. */
  ending(id: string): Promise<Ending>
  close(): Promise<void>
}

interface RequestMore {
  as?: CallerName | null
  body?: unknown
  headers?: Record<string, string>
}

/** The whole service in this process, real but for its sandbox; it closes itself when the test ends. */
export async function startService(t: Test, options: ServiceOptions = {}): Promise<Service> {
  const clock = options.clock ?? systemClock
  const databaseUrl = options.databaseUrl ?? (await freshUrl(t, options.engine ?? 'sqlite'))
  const sandbox = options.sandbox ?? (await startSandbox({ clock, ...options.sandboxOptions }))
  if (!options.sandbox) t.teardown(() => sandbox.close())
  // The time of a call is real time. Where the test's clock stands still, a slow machine must not make a retry of a call.
  const patience: Record<string, string> = options.clock ? { CALL_TIMEOUT_MS: '60000' } : {}
  const env = environment(sandbox, databaseUrl, { ...patience, ...options.env })
  const config = await readConfig(env, '/nonexistent')
  const level = options.env?.LOG_LEVEL ? config.log.level : options.onLog ? 'trace' : 'silent'
  const write = (line: string) => options.onLog?.(JSON.parse(line))
  const app = await build(createLogger({ ...config.log, level }, { write }), { config, clock })
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= app.close()
    return closed
  }
  t.teardown(close)
  const request = (method: string, url: string, { as = 'booking', body, headers = {} }: RequestMore = {}) =>
    app.inject({
      method: method as NonNullable<InjectOptions['method']>,
      url,
      headers: { ...(as ? { authorization: `Bearer ${KEYS[as]}` } : {}), ...headers },
      ...(body === undefined ? {} : { payload: body as NonNullable<InjectOptions['payload']> }),
    })
  const ending = async (id: string) => (await request('GET', `/v1/endings/${id}`)).json<Ending>()
  return { app, sandbox, clock, databaseUrl, request, ending, close }
}

async function build(log: Logger, options: { config: Config; clock: Clock }) {
  const app = Fastify(serverOptions(log))
  await app.register(fp(curfew), options)
  await app.ready()
  return app
}

/** Looks again at every turn of the event loop until `look` answers; a test's own timeout bounds it. */
export async function until<T>(
  look: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  for (;;) {
    const found = await look()
    if (found) return found
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
