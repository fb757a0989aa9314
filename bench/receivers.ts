import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

/** How receivers of notifications behave, well and badly. */
const BEHAVIOURS: Record<string, (response: ServerResponse) => void> = {
  'well behaved': (response) => void response.writeHead(204).end(),
  hangs: () => {},
  'answers 500': (response) => void response.writeHead(500).end(),
  'answers 410': (response) => void response.writeHead(410).end(),
  redirects: (response) => void response.writeHead(302, { location: '/' }).end(),
  'sends 100 MB': (response) => {
    let sent = 0
    const more = () => {
      while (sent < 1e8 && !response.destroyed) {
        sent += 65_536
        if (!response.write(Buffer.alloc(65_536))) return void response.once('drain', more)
      }
      response.end()
    }
    more()
  },
  drips: (response) => {
    response.writeHead(200)
    const drip = setInterval(() => response.write('.'), 100)
    response.once('close', () => clearInterval(drip))
  },
}

export const RECEIVERS = Object.keys(BEHAVIOURS)

/** One of them, in a thread of its own: what it costs to send 100 MB must not delay whoever measures. `close` says how many came. */
export async function receiverAside(behaviour: string) {
  const worker = new Worker(new URL(import.meta.url), { workerData: behaviour })
  const [port] = await once(worker, 'message')
  const close = async (): Promise<number> => {
    worker.postMessage('close')
    const [came] = await once(worker, 'message')
    await worker.terminate()
    return came
  }
  return { url: `http://127.0.0.1:${port}/`, close }
}

if (!isMainThread && typeof workerData === 'string') {
  const behave = BEHAVIOURS[workerData] ?? (() => {})
  let came = 0
  const server = createServer((request, response) => {
    came += 1
    request.resume().once('end', () => behave(response))
  })
  server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port))
  parentPort?.once('message', () => parentPort?.postMessage(came))
}
