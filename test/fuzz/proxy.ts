import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Answer, type Mutated, mutate, type Random } from './mutations.ts'

export interface Proxy {
  url: string
  /** how many answers were changed, by what was done */
  mutated: Map<string, number>
  count: number
  /** how many endings Digital Samba's own words may have refused: one listing serves all that wait for it */
  refusals: number
  /** From now on it changes nothing any more. */
  straighten(): void
  close(): Promise<void>
}

const DONE = { status: 200, headers: {}, body: '' }

/**
 * Between Curfew and its sandbox: changes so large a share of the answers. Some calls are carried out nevertheless.
 * `sharing` is how many endings may wait for one listing of all sessions.
 */
export async function startProxy(
  target: string,
  random: Random,
  share: number,
  sharing: number,
): Promise<Proxy> {
  const held = new Set<ServerResponse>()
  const proxy = { mutated: new Map<string, number>(), count: 0, refusals: 0 }
  let isStraight = false
  const server = createServer((from, to) => void pass(from, to).catch(() => void to.destroy()))

  async function pass(from: IncomingMessage, to: ServerResponse): Promise<void> {
    const body = await text(from)
    if (isStraight || random() >= share) return send(to, await forward(target, from, body))
    const mutated =
      from.method === 'GET'
        ? mutate(random, await forward(target, from, body), /\/sessions\/[^/?]+$/.test(from.url ?? ''))
        : mutate(random, DONE, false)
    // That it was done although it was not would be an untruth; the other way round it happens.
    const saysDone = typeof mutated.answer === 'object' && mutated.answer.status < 300
    if (from.method !== 'GET' && (saysDone || random() < 0.5)) await forward(target, from, body)
    proxy.count += 1
    proxy.mutated.set(mutated.what, (proxy.mutated.get(mutated.what) ?? 0) + 1)
    if (mutated.mayFail) proxy.refusals += isListing(from) ? sharing : 1
    if (mutated.answer === 'reset') return void to.socket?.resetAndDestroy()
    if (mutated.answer === 'hang') return void held.add(to)
    send(to, mutated.answer, mutated)
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(proxy, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    straighten: () => {
      isStraight = true
      for (const answer of held) answer.destroy()
    },
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  })
}

const isListing = ({ method, url = '' }: IncomingMessage) => method === 'GET' && /\/sessions(\?|$)/.test(url)

async function forward(target: string, from: IncomingMessage, body: string): Promise<Answer> {
  const { method, url, headers } = from
  const sent = request(`${target}${url}`, { method, headers, agent: false } as object)
  sent.end(body)
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  const { 'content-type': type = 'application/json', 'retry-after': retry } = answer.headers
  return {
    status: answer.statusCode as number,
    headers: { 'content-type': type, ...(retry ? { 'retry-after': retry } : {}) },
    body: await text(answer),
  }
}

function send(to: ServerResponse, { status, headers, body }: Answer, mutated?: Mutated): void {
  const bytes = Buffer.from(body)
  const kept = Object.entries(headers).filter(([, value]) => value !== '')
  if (mutated?.isCut) {
    to.writeHead(status, { ...Object.fromEntries(kept), 'content-length': bytes.length })
    to.write(bytes.subarray(0, bytes.length / 2), () => to.destroy())
  } else to.writeHead(status, Object.fromEntries(kept)).end(bytes)
}

async function text(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
