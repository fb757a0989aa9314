import { randomUUID } from 'node:crypto'
import { createServer } from 'node:net'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { Deliverer } from '../../src/worker/delivery.ts'
import { NOTIFY_SECRET, startReceiver } from '../helper/receiver.ts'

const OLD = `whsec_${Buffer.from('the-secret-of-before-0123456789').toString('base64')}`
const NEVER = new AbortController().signal
const message = () => ({ id: randomUUID(), body: '{"type":"curfew.ending.ended"}', traceparent: null })

async function scene(t: Parameters<typeof startReceiver>[0], timeoutMs?: number) {
  const receiver = await startReceiver(t)
  const deliverer = new Deliverer(systemClock, timeoutMs)
  t.teardown(() => deliverer.close())
  const to = { caller: 'booking', url: receiver.url, secrets: [NOTIFY_SECRET] }
  return { receiver, deliverer, to, deliver: () => deliverer.deliver(to, message(), NEVER) }
}

t.test('2xx is told, and the beginning of the answer is kept', async (t) => {
  const { receiver, deliver } = await scene(t)
  for (const status of [200, 201, 202, 204, 299]) {
    receiver.answer = (_, response) =>
      void response.writeHead(status).end(status === 204 ? '' : ' thanks\n\u0007')
    const answer = status === 204 ? '' : 'thanks'
    t.match(await deliver(), { status, error: null, answer, retryAfterMs: undefined })
  }
  receiver.answer = (_, response) => void response.end('é'.repeat(5000))
  t.match(await deliver(), { status: 200, error: null, answer: /^é{512}$/ })
})

t.test('all else is not, and says how long it wants to be left alone', async (t) => {
  const { receiver, deliver } = await scene(t)
  for (const status of [400, 401, 404, 410, 429, 500, 503]) {
    receiver.answer = (_, response) => void response.writeHead(status, { 'retry-after': '120' }).end('no')
    t.match(await deliver(), { status, error: `answered ${status}`, answer: 'no', retryAfterMs: 120_000 })
  }
})

t.test('redirects are not followed', async (t) => {
  const { receiver, deliver } = await scene(t)
  for (const status of [301, 302, 303, 307, 308]) {
    receiver.answer = (_, response) => void response.writeHead(status, { location: '/elsewhere' }).end()
    t.match(await deliver(), { status, error: `answered ${status}; redirects are not followed` })
  }
  t.equal(receiver.received.length, 5)
})

t.test('of 100 MB the beginning is read, and the connection is let go', async (t) => {
  const { receiver, deliver } = await scene(t)
  let sent = 0
  const closed = Promise.withResolvers<void>()
  receiver.answer = (_, response) => {
    response.once('close', () => closed.resolve())
    const more = () => {
      while (sent < 100_000_000 && !response.destroyed) {
        sent += 65_536
        if (!response.write(Buffer.alloc(65_536, 'x'))) return void response.once('drain', more)
      }
      response.end()
    }
    more()
  }
  const before = process.memoryUsage().rss
  t.match(await deliver(), { status: 200, error: null, answer: 'x'.repeat(1024) })
  await closed.promise
  t.ok(sent < 20_000_000, `${sent} bytes were sent`)
  t.ok(process.memoryUsage().rss - before < 50_000_000, 'and not kept')
})

t.test('who hangs, before the answer or in it, is not waited for', async (t) => {
  const { receiver, deliver } = await scene(t, 100)
  receiver.answer = () => {}
  t.match(await deliver(), { status: null, error: 'no answer in time (request)', answer: '' })
  receiver.answer = (_, response) => {
    response.writeHead(200)
    const drip = setInterval(() => response.write('.'), 10)
    response.once('close', () => clearInterval(drip))
  }
  t.match(await deliver(), { status: 200, error: null, answer: /^\.+$/ }, 'it has said that it heard')
  receiver.answer = (_, response) => {
    response.writeHead(500)
    const drip = setInterval(() => response.write('.'), 10)
    response.once('close', () => clearInterval(drip))
  }
  t.match(await deliver(), { status: 500, error: 'answered 500' })
})

t.test('who cannot be reached, or breaks off, is told of without the URL', async (t) => {
  const { receiver, deliverer, deliver, to } = await scene(t)
  receiver.answer = (_, __, request) => void request.socket.destroy()
  t.match(await deliver(), { status: null, error: 'no answer: ECONNRESET' })
  const url = 'http://somebody:sEcReT@127.0.0.1:9/sEcReT?sEcReT'
  const refused = await deliverer.deliver({ ...to, url }, message(), NEVER)
  t.match(refused, { status: null, error: 'no answer: ECONNREFUSED' })
  const nobody = await deliverer.deliver({ ...to, url: 'http://sEcReT.invalid/' }, message(), NEVER)
  t.match(nobody, { status: null, error: /^no answer: (ENOTFOUND|EAI_AGAIN)$/ })
  const odd = createServer((socket) => void socket.end('this is no HTTP\r\n\r\n'))
  await new Promise<void>((resolve) => odd.listen(0, '127.0.0.1', resolve))
  t.teardown(() => odd.close())
  const { port } = odd.address() as { port: number }
  const strange = await deliverer.deliver({ ...to, url: `http://127.0.0.1:${port}/` }, message(), NEVER)
  t.match(strange, { status: null, error: /^no answer: HPE_/ })
})

t.test('what is cut short before its answer has come to nothing', async (t) => {
  const { receiver, deliverer, to } = await scene(t)
  const cut = new AbortController()
  receiver.answer = () => cut.abort()
  t.equal(await deliverer.deliver(to, message(), cut.signal), undefined)
})

t.test('the official library verifies it, with the old secret and with the new one', async (t) => {
  const { receiver, deliverer, to } = await scene(t)
  await deliverer.deliver({ ...to, secrets: [OLD, NOTIFY_SECRET] }, message(), NEVER)
  const [{ body, headers } = { body: '', headers: {} as Record<string, string> }] = receiver.received
  t.same(receiver.faults, [])
  for (const secret of [OLD, NOTIFY_SECRET])
    t.same(new Webhook(secret).verify(body, headers), JSON.parse(body))
  const wrong = `whsec_${Buffer.from('another-secret-0123456789-abcdef').toString('base64')}`
  t.throws(() => new Webhook(wrong).verify(body, headers), /No matching signature found/)
  t.throws(() => new Webhook(OLD).verify(`${body} `, headers), /No matching signature found/)
  const late = { ...headers, 'webhook-timestamp': String(Number(headers['webhook-timestamp']) - 301) }
  t.throws(() => new Webhook(OLD).verify(body, late), /Message timestamp too old/)
})
