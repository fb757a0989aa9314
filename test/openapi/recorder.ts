import type { Test } from 'tap'
import { OPERATIONS } from '../../src/openapi/operations.ts'
import { EVENT_SECRETS } from '../events/signing.ts'
import { type Receiver, startReceiver, tells } from '../helper/receiver.ts'
import type { CallerName } from '../helper/service.ts'
import { send } from '../routes/connection.ts'
import type { Answered } from '../routes/problems.ts'
import { type Scene, startScene } from '../routes/scene.ts'

/** Something that was asked of a real service, and what it answered. */
export interface Exchange {
  /** method and path as in the document */
  call: string
  request?: unknown
  answer: Answered
}

export interface Asked {
  url?: string
  as?: CallerName | null
  body?: unknown
  headers?: Record<string, string>
}

export const ID = '0199b8a2-6f3c-7000-8000-0a1b2c3d4e5f'
/** a key that may only read */
export const READER = 'reader-key-00000000000000'
const WEBHOOK_SECRET = 'webhook-secret-0000000000'
export const SECRETS = {
  EVENT_SECRETS,
  DIGITAL_SAMBA_WEBHOOK_SECRET: WEBHOOK_SECRET,
  READ_KEYS: `reader:${READER}`,
}
const CALLS = new Map(Object.entries(OPERATIONS).map(([call, { id }]) => [id, call]))

/** A service whose every answer is kept. */
export class Recorder {
  readonly exchanges: Exchange[] = []
  readonly scene: Scene
  /** who is told what becomes of the endings of `booking` */
  readonly receiver: Receiver
  #listening: Promise<string> | undefined

  constructor(scene: Scene, receiver: Receiver) {
    this.scene = scene
    this.receiver = receiver
  }

  static async start(t: Test, env: Record<string, string> = SECRETS): Promise<Recorder> {
    const booking = await startReceiver(t)
    return new Recorder(
      await startScene(t, {
        env: { ...tells({ booking }), ...env },
      }),
      booking,
    )
  }

  /** Asks for an operation by its id, as `booking`, with whatever its path names being the same id. */
  async ask(id: string, { url, as = 'booking', body, headers = {} }: Asked = {}) {
    const call = CALLS.get(id) as string
    const [method = '', path = ''] = call.split(' ')
    const type = id === 'sendEvents' ? { 'content-type': 'application/cloudevents+json' } : {}
    const by = id === 'receiveWebhook' && as ? { authorization: WEBHOOK_SECRET } : {}
    const more = { as, body, headers: { ...(body === undefined ? {} : type), ...by, ...headers } }
    const answer = await this.scene.request(method, url ?? path.replace(/:\w+/, ID), more)
    this.exchanges.push({ call: call.replace(/:(\w+)/, '{$1}'), request: body, answer: answer as Answered })
    return answer
  }

  /** Writes bytes instead of a request. */
  async write(id: string, bytes: string): Promise<Answered | undefined> {
    this.#listening ??= this.scene.app.listen({ port: 0, host: '127.0.0.1' })
    await this.#listening
    const [answer] = await send(this.scene.app, bytes)
    if (answer) this.exchanges.push({ call: (CALLS.get(id) as string).replace(/:(\w+)/, '{$1}'), answer })
    return answer
  }
}
