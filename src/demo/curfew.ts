import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Webhook } from 'standardwebhooks'
import type { Ending } from '../routes/ending-schemas.ts'

const SERVER = fileURLToPath(new URL('../server.ts', import.meta.url))

export const KEYS = {
  booking: 'booking-key-of-the-demo-only',
  billing: 'billing-key-of-the-demo-only',
}

const secret = (text: string) => `whsec_${Buffer.from(text.padEnd(32, '-')).toString('base64')}`
export const EVENT_SECRETS = {
  booking: secret('booking-of-the-demo'),
  billing: secret('billing-of-the-demo'),
}

export interface EventAnswer {
  status: 'accepted' | 'duplicate' | 'stale' | 'ignored'
  endings: string[]
}

/** A Curfew process of the demo's own, and its callers. */
export class DemoCurfew {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  #url = ''

  /** `env` is the whole environment but for PATH and TZ: what is set on this machine must not matter. */
  constructor(env: Record<string, string>) {
    const { PATH, TZ } = process.env
    this.#child = spawn(process.execPath, [SERVER], {
      cwd: '/',
      env: { PATH, ...(TZ ? { TZ } : {}), ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#exited = once(this.#child, 'exit')
  }

  async ready(): Promise<void> {
    const lines = createInterface({ input: this.#child.stdout as NonNullable<ChildProcess['stdout']> })
    this.#url = await new Promise<string>((resolve, reject) => {
      lines.on('line', (line) => {
        if (line.includes('"service.ready"')) resolve(JSON.parse(line).address)
      })
      void this.#exited.then(() => reject(new Error('Curfew did not start')))
    })
  }

  /** POSTs as `caller`; with `wait`, until the ending is over (at most that many seconds). */
  async post(caller: keyof typeof KEYS, path: string, body: object, wait = 0): Promise<Ending> {
    const headers = {
      authorization: `Bearer ${KEYS[caller]}`,
      'content-type': 'application/json',
      ...(wait > 0 ? { prefer: `wait=${wait}` } : {}),
    }
    const answer = await fetch(this.#url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    if (!answer.ok) throw new Error(`${path} was answered ${answer.status}: ${await answer.text()}`)
    return (await answer.json()) as Ending
  }

  /** Sends a CloudEvent as `sender`, signed as Standard Webhooks say; resolves with its status and endings. */
  async event(sender: 'billing' | 'booking', type: string, data: object): Promise<EventAnswer> {
    const id = `demo-${randomUUID()}`
    const body = JSON.stringify({ specversion: '1.0', id, source: `/${sender}`, type, data })
    const now = new Date()
    const answer = await fetch(`${this.#url}/v1/events`, {
      method: 'POST',
      headers: {
        'content-type': 'application/cloudevents+json',
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
        'webhook-signature': new Webhook(EVENT_SECRETS[sender]).sign(id, now, body),
      },
      body,
    })
    if (!answer.ok) throw new Error(`${type} was answered ${answer.status}: ${await answer.text()}`)
    const { events } = (await answer.json()) as { events: [EventAnswer] }
    return events[0]
  }

  async get<T>(path: string): Promise<T> {
    const answer = await fetch(this.#url + path, { headers: { authorization: `Bearer ${KEYS.booking}` } })
    if (!answer.ok) throw new Error(`${path} was answered ${answer.status}: ${await answer.text()}`)
    return (await answer.json()) as T
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.#child.kill(signal)
    await this.#exited
  }
}
