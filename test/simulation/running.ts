import { setImmediate as nextTurn } from 'node:timers/promises'
import Fastify, { type FastifyInstance, type InjectOptions, type LightMyRequestResponse } from 'fastify'
import fp from 'fastify-plugin'
import pg from 'pg'
import { curfew, serverOptions } from '../../src/app.ts'
import type { CallContext } from '../../src/digital-samba/client.ts'
import { createLogger } from '../../src/logger.ts'
import { readConfig } from '../../src/plugins/environment.ts'
import { isSyncing, type ManualClock } from '../helper/manual-clock.ts'
import { type CallerName, KEYS } from '../helper/service.ts'

/** How much is on its way that needs no clock to come to its end: calls and statements. */
let underWay = 0

export async function during<T>(work: Promise<T>): Promise<T> {
  underWay += 1
  try {
    return await work
  } finally {
    underWay -= 1
  }
}

// PostgreSQL answers from another process, so its statements are counted; SQLite's are over when they are asked.
type Untyped = Record<string, (...args: unknown[]) => unknown>
for (const [owner, name] of [
  [pg.Client.prototype, 'query'],
  [pg.Pool.prototype, 'connect'],
] as Array<[unknown, string]>) {
  const prototype = owner as Untyped
  const inner = prototype[name] as Untyped[string]
  prototype[name] = function (this: unknown, ...args) {
    const answer = inner.apply(this, args)
    if (answer instanceof Promise) void during(answer).catch(() => undefined)
    return answer
  }
}

// What is counted comes within a few turns of the event loop after what it follows from.
const QUIET_TURNS = 6
const STUCK_TURNS = 60

/** Resolves when nothing goes on any more until the clock moves. */
export async function quiet(turns = QUIET_TURNS): Promise<void> {
  for (let still = 0; still < turns; still += 1) {
    await nextTurn()
    if (underWay > 0 || isSyncing()) still = -1
  }
}

/** Moves the clock to `at`, at each instant on the way as long as it takes. */
export async function passTo(clock: ManualClock, at: number): Promise<void> {
  for (;;) {
    await quiet()
    const next = clock.nextWake()
    await clock.advanceTo(next !== undefined && next <= at ? next : at)
    if (next === undefined || next > at) return quiet()
  }
}

/** A Curfew within this process, which can die. */
export class Running {
  readonly #app: FastifyInstance
  readonly #clock: ManualClock

  constructor(app: FastifyInstance, clock: ManualClock) {
    this.#app = app
    this.#clock = clock
  }

  get app(): FastifyInstance {
    return this.#app
  }

  /** Asks, and lets time pass only where the answer waits for it. */
  async ask(method: string, url: string, as: CallerName, body?: unknown): Promise<LightMyRequestResponse> {
    const authorization = `Bearer ${KEYS[as]}`
    const asked = this.#inject(method, url, { authorization }, body)
    let isAnswered = false
    void asked.finally(() => {
      isAnswered = true
    })
    for (;;) {
      for (let turn = 0; turn < STUCK_TURNS && !isAnswered; turn = underWay > 0 || isSyncing() ? 0 : turn + 1)
        await nextTurn()
      if (isAnswered) return asked
      await this.#clock.advanceTo(this.#clock.nextWake() as number)
    }
  }

  tell(body: object): Promise<LightMyRequestResponse> {
    return during(this.#inject('POST', '/v1/webhooks/digital-samba', { authorization: WEBHOOK_SECRET }, body))
  }

  #inject(method: string, url: string, headers: Record<string, string>, body: unknown) {
    const payload = body === undefined ? {} : { payload: body as NonNullable<InjectOptions['payload']> }
    return this.#app.inject({ method: method as 'GET', url, headers, ...payload })
  }

  /**
   * Dies as abruptly as is possible within a process: from now on it can store nothing and its connections are
   * broken, so what was on its way is as lost as after a kill -9. Then its loops are stopped.
   */
  async kill(): Promise<void> {
    const cutOff = this.#app.database.close()
    this.#app.digitalSamba.close()
    await cutOff
    // Its database cannot be closed a second time.
    await this.#app.close().catch(() => undefined)
  }

  async close(): Promise<void> {
    await this.#app.close()
  }
}

export const WEBHOOK_SECRET = 'webhook-secret-of-the-simulation'

export async function start(
  env: Record<string, string>,
  clock: ManualClock,
  onTrouble: (line: Record<string, unknown>) => void,
): Promise<Running> {
  const config = await readConfig(env, '/nonexistent')
  const write = (line: string) => onTrouble(JSON.parse(line))
  const app = Fastify(serverOptions(createLogger({ ...config.log, level: 'error' }, { write })))
  // Before anything begins to work: what was added first runs first.
  app.addHook('onReady', async () => count(app as unknown as FastifyInstance))
  await app.register(fp(curfew), { config, clock })
  await app.ready()
  return new Running(app as unknown as FastifyInstance, clock)
}

/** Counts calls, without the time that they wait for their budget, and transactions. */
function count({ digitalSamba, ledger }: FastifyInstance): void {
  const write = ledger.write.bind(ledger)
  ledger.write = (work) => during(write(work))
  const client = digitalSamba as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
  for (const name of ['end', 'session', 'chat', 'livePage']) {
    const inner = client[name]?.bind(digitalSamba) as (...args: unknown[]) => Promise<unknown>
    client[name] = (...args) => {
      const context = args.at(-1) as CallContext
      const admit = async () => {
        underWay -= 1
        await context.admit().finally(() => {
          underWay += 1
        })
      }
      return during(inner(...args.slice(0, -1), { ...context, admit }))
    }
  }
}
