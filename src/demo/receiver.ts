import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'

/** A receiver of notifications that verifies each and prints it in a line. */
export async function printingReceiver(secret: string): Promise<{ url: string; close: () => void }> {
  const hook = new Webhook(secret)
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    try {
      const { type, data } = hook.verify(body, request.headers as Record<string, string>) as Told
      process.stdout.write(`told: ${type} ${data.id} (${data.outcome ?? data.failure ?? data.state})\n`)
      response.writeHead(204).end()
    } catch (error) {
      process.stdout.write(`told something that does not verify: ${error}\n`)
      response.writeHead(401).end()
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { url: `http://127.0.0.1:${port}/`, close }
}

interface Told {
  type: string
  data: { id: string; state: string; outcome: string | null; failure: string | null }
}
