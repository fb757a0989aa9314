import type { Service } from '../helper/service.ts'

/** What /metrics says: each series, as it is written, with its number. */
export type Read = Map<string, number>

/** As Prometheus reads it: comments left out, one series a line; throws where a line is none. */
export function parse(text: string): Read {
  const read: Read = new Map()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const [, series, value] = /^([a-z_0-9]+(?:\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})?) (\S+)$/.exec(line) ?? []
    if (series === undefined || read.has(series)) throw new Error(`no series, or twice: ${line}`)
    read.set(series, Number(value?.replace('Inf', 'Infinity')))
  }
  return read
}

export async function scrape({ request }: Pick<Service, 'request'>): Promise<Read> {
  const { statusCode, body } = await request('GET', '/metrics', { as: null })
  if (statusCode !== 200) throw new Error(`answered ${statusCode}`)
  return parse(body)
}

/** What has risen since `before`, but for what a scrape itself and the process raise. */
export function risen(before: Read, after: Read, name: string): Record<string, number> {
  const changes = [...after].map(([series, value]) => [series, value - (before.get(series) ?? 0)] as const)
  return Object.fromEntries(changes.filter(([series, by]) => series.startsWith(name) && by !== 0))
}
