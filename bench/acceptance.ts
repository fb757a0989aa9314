import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import { KEYS } from '../test/helper/service.ts'
import { median, type Row } from './measure.ts'
import { startMeasured } from './process.ts'

const SECONDS = 4
const ROUNDS = 3
const SESSION = 'edb7a1cb-0627-44ed-9ae4-62a344d6e8a9'

/** Durable acceptance against a bare Fastify route, turn by turn on the same machine. */
export async function acceptance(env: Record<string, string>, engine: string): Promise<Row[]> {
  const bare = spawn(process.execPath, [fileURLToPath(new URL('./bare.ts', import.meta.url))])
  const [address] = await once(bare.stdout, 'data')
  const curfew = await startMeasured(env)
  const rows: Row[] = []
  for (const connections of [1, 10, 100]) {
    const rates = { bare: [] as number[], curfew: [] as number[] }
    for (let round = 0; round < ROUNDS; round += 1) {
      rates.bare.push(await rate(String(address).trim(), connections))
      rates.curfew.push(await rate(curfew.url, connections))
    }
    const [ours, theirs] = [median(rates.curfew), median(rates.bare)]
    const figure = `${Math.round(ours)}/s; bare route ${Math.round(theirs)}/s; ratio ${(ours / theirs).toFixed(2)}`
    rows.push([
      `accepted, ${engine}, ${connections} connections`,
      figure,
      connections === 100 ? 'ratio 0.5' : '',
    ])
  }
  bare.kill('SIGTERM')
  await curfew.end('SIGTERM')
  return rows
}

// Due in an hour, so that what is measured is acceptance alone.
async function rate(url: string, connections: number): Promise<number> {
  const result = await autocannon({
    url: `${url}/v1/sessions/${SESSION}/end`,
    method: 'POST',
    headers: { authorization: `Bearer ${KEYS.booking}`, 'content-type': 'application/json' },
    body: JSON.stringify({ dueAt: new Date(Date.now() + 3_600_000).toISOString() }),
    connections,
    duration: SECONDS,
  })
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${result.non2xx} not accepted, ${result.errors} errors`)
  return result['2xx'] / result.duration
}
