import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import type { Test } from 'tap'
import type { NotificationEvent } from '../../src/routes/notification-schemas.ts'

export const NOTIFY_SECRET = `whsec_${Buffer.from('notify-secret-0123456789-abcdef').toString('base64')}`

/** One request that came, with what it says of itself. */
interface Received {
  id: string
  headers: Record<string, string>
  body: string
  event: NotificationEvent
  at: number
}

type Answering = (received: Received, response: ServerResponse, request: IncomingMessage) => void

/** A real server that is told of endings; whatever does not verify is a fault. */
export interface Receiver {
  url: string
  received: Received[]
  /** what did not verify, and why */
  faults: string[]
  answer: Answering
  of(type: string): Received[]
  close(): Promise<void>
}

export async function startReceiver(t: Pick<Test, 'teardown'>, secret = NOTIFY_SECRET): Promise<Receiver> {
  const hook = new Webhook(secret)
  const receiver: Receiver = {
    url: '',
    received: [],
    faults: [],
    answer: (_, response) => void response.writeHead(204).end(),
    of: (type) => receiver.received.filter(({ event }) => event.type === `curfew.ending.${type}`),
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks).toString('utf8')
    const headers = request.headers as Record<string, string>
    try {
      hook.verify(body, headers)
    } catch (error) {
      receiver.faults.push(String(error))
    }
    const received = {
      id: String(headers['webhook-id']),
      headers,
      body,
      event: JSON.parse(body),
      at: Date.now(),
    }
    receiver.received.push(received)
    receiver.answer(received, response, request)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/curfew`
  t.teardown(() => receiver.close())
  return receiver
}

/** What tells Curfew that `booking` is told there, or whoever is named. */
export function tells(receivers: Record<string, Pick<Receiver, 'url'>>, secret = NOTIFY_SECRET) {
  const names = Object.keys(receivers)
  return {
    NOTIFY_URLS: names.map((name) => `${name}:${receivers[name]?.url}`).join(),
    NOTIFY_SECRETS: names.map((name) => `${name}:${secret}`).join(),
  }
}
