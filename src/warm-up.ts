import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Logger } from 'pino'
import { systemClock } from './clock.ts'
import { DigitalSamba } from './digital-samba/client.ts'
import type { OpenDatabase } from './storage/engine/open-database.ts'
import { warmUpStorage } from './storage/warm-up.ts'

const CALLS = 3
const TIMEOUT_MS = 1000

/**
 * Does once, before anybody asks, what carrying an ending out is made of, so that the first ending of a process is not
 * late by what Node compiles on first use. Nothing is stored, and nobody outside of the process is called.
 */
export async function warmUp(database: OpenDatabase, log: Pick<Logger, 'warn'>): Promise<void> {
  try {
    await Promise.all([warmUpStorage(database), warmUpCalls()])
  } catch (error) {
    // A service that cannot warm up is a slower one; what is wrong will show where it matters.
    log.warn({ err: error }, 'service.not_warm')
  }
}

/** End calls to a server of this process's own. */
async function warmUpCalls(): Promise<void> {
  const server = createServer((_, response) => void response.end())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  const client = new DigitalSamba({
    url: `http://127.0.0.1:${port}`,
    credentials: { form: 'basic', teamId: 'nobody', developerKey: 'nothing' },
    clock: systemClock,
    timeoutMs: TIMEOUT_MS,
  })
  try {
    const context = { signal: AbortSignal.timeout(TIMEOUT_MS), admit: async () => {}, onCall: () => {} }
    for (let call = 0; call < CALLS; call += 1)
      await client.end('00000000-0000-4000-8000-000000000000', context)
  } finally {
    client.close()
    server.close()
  }
}
