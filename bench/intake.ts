import { randomUUID } from 'node:crypto'
import autocannon from 'autocannon'
import { KEYS } from '../test/helper/service.ts'
import type { Row } from './measure.ts'
import { startMeasured } from './process.ts'

const SECONDS = 4
const CONNECTIONS = 10

/** Events accepted durably, each a booking of its own that ends in an hour: alone, and in batches of 100. */
export async function intake(env: Record<string, string>, engine: string): Promise<Row[]> {
  const curfew = await startMeasured(env)
  const rows: Row[] = []
  for (const size of [1, 100]) {
    const result = await autocannon({
      url: `${curfew.url}/v1/events`,
      connections: CONNECTIONS,
      duration: SECONDS,
      requests: [{ setupRequest: (request) => ({ ...request, ...post(size) }) }],
    })
    if (result.non2xx > 0 || result.errors > 0)
      throw new Error(`${result.non2xx} not accepted, ${result.errors} errors`)
    const perSecond = Math.round((result['2xx'] * size) / result.duration)
    const how = size === 1 ? 'alone' : `in batches of ${size}`
    rows.push([`events, ${engine}, ${how}, ${CONNECTIONS} connections`, `${perSecond}/s`, ''])
  }
  await curfew.end('SIGTERM')
  return rows
}

function post(size: number) {
  const endsAt = new Date(Date.now() + 3_600_000).toISOString()
  const events = Array.from({ length: size }, () => {
    const id = randomUUID()
    const data = { bookingId: id, roomId: 'bench-room', endsAt }
    return { specversion: '1.0', id, source: '/bench', type: 'booking.scheduled', data }
  })
  const kind = size === 1 ? 'application/cloudevents+json' : 'application/cloudevents-batch+json'
  return {
    method: 'POST' as const,
    path: '/v1/events',
    headers: { authorization: `Bearer ${KEYS.booking}`, 'content-type': kind },
    body: JSON.stringify(size === 1 ? events[0] : events),
  }
}
