import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { KEYS } from '../test/helper/service.ts'

/**
 * One attack, as a process of its own: `node bench/attacking.ts NAME URL`. Bounded in count and time. What it was
 * answered goes to its output, as JSON: how often each status came, and the largest answer (bytes).
 */
const MIB = 1024 * 1024
const HOLD_MS = 6000
const [name = '', url = ''] = process.argv.slice(2)
const seen = { statuses: {} as Record<string, number>, largest: 0 }

const auth = { authorization: `Bearer ${KEYS.booking}` }
const list = (open: string, item: string, close: string, bytes: number) =>
  open +
  Array(Math.floor((bytes - open.length - close.length) / (item.length + 1)))
    .fill(item)
    .join() +
  close

const attacks: Record<string, () => Promise<unknown>> = {
  // A signature that only the body can disprove, and a body that never ends.
  signatures: () => each(700, () => holdBody(MIB - 1)),
  'wrong-events': () => {
    const head = `{"specversion":"1.0","id":"1","source":"/x","type":"billing.suspended","data":{"account":"a","targets":[`
    const body = list(head, '{"x":1}', ']}}', MIB)
    return each(20, () => post('/v1/events', body, { 'content-type': 'application/cloudevents+json' }))
  },
  nonsense: async () => {
    const names = Array.from({ length: 4600 }, (_, i) => `"x${i}":[{}]`)
    const body = `{${names.join()}}`.slice(0, 64 * 1024)
    for (let round = 0; round < 10; round += 1)
      await each(20, () => post('/v1/rooms/abc/end', body, { 'content-type': 'application/json' }))
  },
  waiters: () =>
    each(4000, () =>
      post('/v1/endings', JSON.stringify({ target: { room: 'abc' }, dueAt: inAnHour() }), {
        'content-type': 'application/json',
        prefer: 'wait=30',
      }),
    ),
  idle: () => each(1100, hold),
  batches: () => each(4, () => post('/v1/events', batch(290, 200), BATCHED)),
  'batches-of-1000': () => each(4, () => post('/v1/events', batch(5, 200), BATCHED)),
}
const BATCHED = { 'content-type': 'application/cloudevents-batch+json' }
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString()

let account = 0
function batch(events: number, targets: number): string {
  const some = Array(targets).fill('{"roomId":"abc"}').join()
  const one = () => {
    account += 1
    return `{"specversion":"1.0","id":"e${account}","source":"/x","type":"billing.suspended","data":{"account":"a${account}","graceSeconds":3600,"targets":[${some}]}}`
  }
  return `[${Array.from({ length: events }, one).join()}]`
}

const each = (count: number, one: () => Promise<unknown>) => Promise.all(Array.from({ length: count }, one))

const answered = (status: string, bytes: number) => {
  seen.statuses[status] = (seen.statuses[status] ?? 0) + 1
  seen.largest = Math.max(seen.largest, bytes)
}

async function post(path: string, body: string, headers: Record<string, string>): Promise<void> {
  const length = { 'content-length': Buffer.byteLength(body) }
  const sent = request(`${url}${path}`, {
    method: 'POST',
    agent: false,
    headers: { ...auth, ...length, ...headers },
    signal: AbortSignal.timeout(HOLD_MS * 3),
  })
  sent.end(body)
  try {
    const [answer] = await once(sent, 'response')
    let bytes = 0
    for await (const chunk of answer) bytes += chunk.length
    answered(String(answer.statusCode), bytes)
  } catch (error) {
    answered((error as NodeJS.ErrnoException).code ?? 'none', 0)
  }
}

async function hold(bytes = ''): Promise<void> {
  const { port, hostname } = new URL(url)
  const socket = connect(Number(port), hostname).on('error', () => {})
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk
  })
  socket.write(bytes)
  await Promise.race([once(socket, 'close').catch(() => undefined), pause(HOLD_MS)])
  socket.destroy()
  answered(answer.split(' ')[1] ?? 'nothing', answer.length)
}

function holdBody(bytes: number): Promise<void> {
  const head = [
    'POST /v1/events HTTP/1.1',
    'Host: x',
    'Content-Type: application/cloudevents+json',
    `Content-Length: ${MIB}`,
    'webhook-id: a',
    `webhook-timestamp: ${Math.floor(Date.now() / 1000)}`,
    `webhook-signature: v1,${'A'.repeat(43)}=`,
  ]
  return hold(`${head.join('\r\n')}\r\n\r\n${'x'.repeat(bytes)}`)
}

await attacks[name]?.()
process.stdout.write(JSON.stringify(seen))
process.exit(0)
