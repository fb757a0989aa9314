import type { Socket } from 'node:net'
import fp from 'fastify-plugin'

// Beyond this they cost more memory (some 15 KB each) than there are callers.
const MOST_CONNECTIONS = 8192
const FEWEST_CONNECTIONS = 16
// For the ledger's files or connections, the log, look-ups of names, and what Node keeps open for itself.
const RESERVED = 128

/**
 * Connections are bounded by the descriptors that the process may have, with room kept for the calls that matter. Near
 * the bound the oldest that is idle gives way to a new one, and first of all one that has never carried a request of
 * somebody known: who holds a thousand of them open keeps nobody out.
 */
export default fp<{ maxConcurrentCalls: number }>(async function connections(app, { maxConcurrentCalls }) {
  const most = mostConnections(mostOpenFiles(), maxConcurrentCalls)
  const open = new Set<Socket>()
  const known = new WeakSet<Socket>()
  // In the order in which they became idle.
  const idle = { strangers: new Set<Socket>(), known: new Set<Socket>() }

  const rest = (socket: Socket) => {
    if (open.has(socket)) (known.has(socket) ? idle.known : idle.strangers).add(socket)
  }
  const unrest = (socket: Socket) => void (idle.strangers.delete(socket) || idle.known.delete(socket))
  const forget = (socket: Socket) => {
    open.delete(socket)
    unrest(socket)
  }

  app.server.on('connection', (socket) => {
    if (open.size >= most) {
      const oldest = [idle.strangers, idle.known].flatMap((sockets) => sockets.values().next().value ?? [])[0]
      const givesWay = oldest ?? socket
      givesWay.destroy()
      forget(givesWay)
      if (givesWay === socket) return
    }
    open.add(socket)
    rest(socket)
    socket.once('close', () => forget(socket))
  })
  app.server.on('request', ({ socket }, response) => {
    unrest(socket)
    response.once('close', () => rest(socket))
  })
  app.addHook('preHandler', async ({ caller, raw }) => {
    if (caller) known.add(raw.socket)
  })
})

/** How many there may be where so many files may be open. */
export function mostConnections(openFiles: number, maxConcurrentCalls: number): number {
  const reserved = Math.max(RESERVED, openFiles / 4, RESERVED + maxConcurrentCalls)
  return Math.floor(Math.max(Math.min(openFiles - reserved, MOST_CONNECTIONS), FEWEST_CONNECTIONS))
}

/** Node raises its soft limit to the hard one when it starts. */
function mostOpenFiles(): number {
  const report: NodeJS.ProcessReport & { excludeNetwork?: boolean } = process.report
  // Names of peers would be looked up, one after the other.
  report.excludeNetwork = true
  const { userLimits } = report.getReport() as { userLimits?: { open_files?: { soft: number | string } } }
  const soft = userLimits?.open_files?.soft
  return typeof soft === 'number' ? soft : Number.MAX_SAFE_INTEGER
}
