import http, { type RequestListener, type Server } from 'node:http'
import net, { type Socket } from 'node:net'
import type { Test } from 'tap'
import { type Clock, systemClock } from '../../src/clock.ts'
import {
  type CallContext,
  type CallMade,
  type ClientOptions,
  DigitalSamba,
} from '../../src/digital-samba/client.ts'
import type { Credentials } from '../../src/digital-samba/credentials.ts'
import { DigitalSambaError } from '../../src/digital-samba/errors.ts'
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts'

export const CREDENTIALS: Credentials = {
  form: 'basic',
  teamId: 'team-7',
  developerKey: 'developer-key-that-nobody-may-see',
}
export const SESSION = 'edb7a1cb-0627-44ed-9ae4-62a344d6e8a9'

interface ClientMore {
  credentials?: Partial<Credentials>
  clock?: Clock
  timeoutMs?: number
  onOdd?: ClientOptions['onOdd']
}

export function clientFor(t: Test, url: string, more: ClientMore = {}): DigitalSamba {
  const credentials = { ...CREDENTIALS, ...more.credentials }
  const { clock = systemClock, timeoutMs = 5000, onOdd = () => undefined } = more
  const client = new DigitalSamba({ url, credentials, clock, timeoutMs, onOdd })
  t.teardown(() => client.close())
  return client
}

export interface Recorder extends CallContext {
  /** `admit` and the name of what came of each call, in order */
  story: string[]
  calls: CallMade[]
}

/** A caller that admits everything and writes down what it is asked and told. */
export function recorder(more: Partial<CallContext> = {}): Recorder {
  const story: string[] = []
  const calls: CallMade[] = []
  return {
    signal: more.signal ?? new AbortController().signal,
    admit: async () => {
      story.push('admit')
      await more.admit?.()
    },
    onCall: (call) => {
      story.push(call.error?.name ?? 'ok')
      calls.push(call)
      more.onCall?.(call)
    },
    story,
    calls,
  }
}

export async function sandboxFor(t: Test): Promise<Sandbox> {
  const { teamId, developerKey } = CREDENTIALS
  const sandbox = await startSandbox({ teamId, developerKey })
  t.teardown(() => sandbox.close())
  return sandbox
}

/** A server that answers whatever `listener` says; `arrived` counts what reached it. */
export async function httpServer(t: Test, listener: RequestListener) {
  const arrived = { calls: 0, connections: 0 }
  const server = http.createServer((request, response) => {
    arrived.calls += 1
    listener(request, response)
  })
  server.on('connection', () => {
    arrived.connections += 1
  })
  return { url: await listen(t, server, () => server.closeAllConnections()), arrived }
}

/** A server below HTTP: told of each request, the first of which has the number 1. */
export async function socketServer(t: Test, onRequest: (socket: Socket, number: number) => void) {
  const sockets = new Set<Socket>()
  const arrived = { calls: 0 }
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', () => {
      arrived.calls += 1
      onRequest(socket, arrived.calls)
    })
  })
  const closeAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  return { url: await listen(t, server, closeAll), arrived }
}

async function listen(t: Test, server: Server | net.Server, closeAll: () => void): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    closeAll()
    await closed
  })
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`
}

/** The error that a call comes to; throws where it comes to none of the client's own. */
export async function errorOf(call: Promise<unknown>): Promise<DigitalSambaError> {
  const outcome = await call.then(
    () => 'no error',
    (error: unknown) => error,
  )
  if (outcome instanceof DigitalSambaError) return outcome
  throw new Error(`expected a DigitalSambaError, not ${outcome}`, { cause: outcome })
}

export async function everyPage<T>(pages: AsyncIterable<T[]>): Promise<T[]> {
  const all: T[] = []
  for await (const page of pages) all.push(...page)
  return all
}
