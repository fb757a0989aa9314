import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import { type Process, startProcess } from '../helper/process.ts'
import { environment, KEYS } from '../helper/service.ts'
import { startTcpProxy, type TcpProxy, type Weather } from './proxy.ts'

const OFFSET = fileURLToPath(new URL('./clock-offset.ts', import.meta.url))

// A replica that is suspended takes connections and answers nobody; whoever asks goes elsewhere.
const PATIENCE_MS = 1500

/** One of several Curfews on a ledger, behind networks that can break. */
export interface Replica {
  curfew: Process | undefined
  database: TcpProxy
  upstream: TcpProxy
  env: Record<string, string>
}

export interface Answer {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: whatever the service answers
  body: any
}

/** Several real Curfews on one PostgreSQL and one sandbox, and the load balancer in front of them. */
export class Fleet {
  readonly replicas: Replica[]
  /** every line of every process that there was */
  readonly lines: string[] = []
  #next = 0

  private constructor(replicas: Replica[]) {
    this.replicas = replicas
  }

  static async start(
    sandbox: Sandbox,
    databaseUrl: string,
    count: number,
    env: Record<string, string> = {},
    offsetsMs: number[] = [],
    /** past the networks that can break, where what is measured is how fast it is */
    isDirect = false,
  ): Promise<Fleet> {
    const replicas = await Promise.all(
      Array.from({ length: count }, async (_, i): Promise<Replica> => {
        const database = await startTcpProxy(Number(new URL(databaseUrl).port))
        const upstream = await startTcpProxy(Number(new URL(sandbox.url).port))
        const own = new URL(databaseUrl)
        if (!isDirect) own.port = String(database.port)
        const more = {
          ...env,
          DIGITAL_SAMBA_URL: isDirect ? sandbox.url : `http://127.0.0.1:${upstream.port}`,
          ...(offsetsMs[i]
            ? { CLOCK_OFFSET_MS: String(offsetsMs[i]), NODE_OPTIONS: `--import ${OFFSET}` }
            : {}),
        }
        return {
          curfew: undefined,
          database,
          upstream,
          env: environment(sandbox, own.href, more),
        }
      }),
    )
    const fleet = new Fleet(replicas)
    for (const i of replicas.keys()) await fleet.up(i)
    return fleet
  }

  /** Starts one that is down. */
  async up(i: number): Promise<void> {
    const replica = this.#of(i)
    replica.curfew ??= await startProcess(replica.env)
  }

  /** Ends one: at once, or as it is asked to. */
  async down(i: number, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const replica = this.#of(i)
    const { curfew } = replica
    if (!curfew) return
    replica.curfew = undefined
    curfew.signal('SIGCONT')
    curfew.signal(signal)
    await curfew.exited
    this.lines.push(...curfew.lines)
  }

  signal(i: number, name: NodeJS.Signals): void {
    this.#of(i).curfew?.signal(name)
  }

  weather(i: number, where: 'database' | 'upstream', weather: Weather): void {
    this.#of(i)[where].become(weather)
  }

  /** By the next replica that is there; again by another, as a client does that may, where nothing came back or 503. */
  async ask(
    method: string,
    path: string,
    body?: unknown,
    more: Record<string, string> = {},
  ): Promise<Answer> {
    for (let tries = 0; ; tries += 1) {
      const answer = await this.once(method, path, body, more)
      if (answer && answer.status !== 503) return answer
      if (tries === 200) return answer ?? { status: 0, body: undefined }
      await pause(25)
    }
  }

  /** Undefined where nothing came back. */
  async once(
    method: string,
    path: string,
    body?: unknown,
    more: Record<string, string> = {},
    caller: keyof typeof KEYS = 'booking',
  ): Promise<Answer | undefined> {
    this.#next += 1
    const curfew = this.#of(this.#next % this.replicas.length).curfew
    if (!curfew) return undefined
    const headers = {
      authorization: `Bearer ${KEYS[caller]}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...more,
    }
    try {
      const answer = await fetch(`${curfew.url}${path}`, {
        method,
        headers,
        signal: AbortSignal.timeout(PATIENCE_MS),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await answer.text()
      return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) }
    } catch {
      return undefined
    }
  }

  async close(): Promise<void> {
    for (const i of this.replicas.keys()) await this.down(i, 'SIGKILL')
    for (const { database, upstream } of this.replicas) {
      await database.close()
      await upstream.close()
    }
  }

  #of(i: number): Replica {
    return this.replicas[i] as Replica
  }
}
