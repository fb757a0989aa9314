import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** What a network does: carries on, breaks off, delivers late, or swallows without a word. */
export type Weather = 'open' | 'cut' | 'slow' | 'swallow'

export interface TcpProxy {
  port: number
  /** From now on, for the connections that there are as well. */
  become(weather: Weather): void
  close(): Promise<void>
}

const SLOW_MS = 150

/** A TCP proxy in front of 127.0.0.1:`target`. */
export async function startTcpProxy(target: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  let weather: Weather = 'open'
  const server = createServer((from) => {
    if (weather === 'cut') return void from.destroy()
    const to = connect(target, '127.0.0.1')
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      sockets.add(one)
      one.on('error', () => {})
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
      one.on('data', (chunk) => {
        if (weather === 'open') other.write(chunk)
        else if (weather === 'slow') setTimeout(() => other.writable && other.write(chunk), SLOW_MS)
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    become: (now) => {
      // What was swallowed leaves a gap that no protocol survives, and so does what would overtake what is late.
      if (now !== weather && weather !== 'open') for (const socket of sockets) socket.destroy()
      weather = now
      if (now === 'cut') for (const socket of sockets) socket.destroy()
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
