import t from 'tap'
import type { NotificationRow } from '../../src/storage/schema.ts'
import { onEveryEngine } from '../helper/engines.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { startReceiver, tells } from '../helper/receiver.ts'
import { type Service, startService, until } from '../helper/service.ts'
import { startNotifier } from './notifier.ts'

const [SECOND, MINUTE, HOUR] = [1000, 60_000, 3_600_000]
const WAITS = [5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, 2 * HOUR, 6 * HOUR, 12 * HOUR]

const one = async ({ request }: Service, query = '') =>
  (await request('GET', `/v1/notifications?${query}`)).json().data[0]

async function endOne({ sandbox, request }: Service): Promise<string> {
  const { id: room } = sandbox.createRoom({})
  const { id } = sandbox.startSession({ room })
  return (await request('POST', `/v1/sessions/${id}/end`)).json().id
}

onEveryEngine(t, 'what is not heard is told again and again, and given up at the end', async (t, url) => {
  const clock = new ManualClock()
  const booking = await startReceiver(t)
  const { store, cancelOne } = await startNotifier(t, { url, clock, receiver: booking })
  booking.answer = (_, response) => void response.writeHead(500).end('broken')
  const ending = await cancelOne()
  await until(() => booking.received.length === 1)
  const id = booking.received[0]?.id as string
  const now = async () => (await store.find(id)) as NotificationRow
  for (const [i, wait] of WAITS.entries()) {
    await until(async () => (await now()).attempt === i + 1)
    const { next_attempt_at: next, state } = await now()
    const waits = next - clock.now()
    t.equal(state, 'pending')
    t.ok(waits >= wait * 0.8 && waits <= wait * 1.2, `${waits} ms after try ${i + 1}`)
    await clock.advanceTo(next - 1)
    t.equal(booking.received.length, i + 1)
    await clock.advanceTo(next)
    await until(() => booking.received.length === i + 2)
  }
  await until(async () => (await now()).state === 'failed')
  t.match(await now(), { ending_id: ending, attempt: 9, last_status: 500, last_error: 'answered 500' })
  t.same(
    (await store.tries(id)).map(({ attempt, status, answer }) => [attempt, status, answer]),
    Array.from({ length: 9 }, (_, i) => [i + 1, 500, 'broken']),
  )
  t.same(new Set(booking.received.map((one) => one.id)), new Set([id]), 'the id is the same at every try')
  t.equal(new Set(booking.received.map(({ body }) => body)).size, 1, 'and so is what is told')
  t.same(booking.faults, [])

  // Somebody has it tried again: the backoff begins anew.
  t.match(await store.retry(id, { name: 'booking', operator: false }), { state: 'pending', attempt: 9 })
  await until(async () => (await now()).attempt === 10)
  const waits = (await now()).next_attempt_at - clock.now()
  t.ok(waits >= 4000 && waits <= 6000, `${waits} ms after somebody had it tried again`)
  booking.answer = (_, response) => void response.end()
  await clock.advanceTo((await now()).next_attempt_at)
  await until(async () => (await now()).state === 'told')
  t.match(await now(), { attempt: 11, last_status: 200, last_error: null })
  t.match(await store.retry(id, { name: 'booking', operator: false }), { obstacle: 'told' })
})

t.test('410 gives up at once; a longer Retry-After wins', async (t) => {
  const clock = new ManualClock()
  const booking = await startReceiver(t)
  const service = await startService(t, { clock, env: tells({ booking }) })
  booking.answer = (_, response) => void response.writeHead(410).end()
  await endOne(service)
  await until(async () => (await one(service, 'state=failed')) !== undefined)
  t.match(await one(service, 'state=failed'), { attempt: 1, lastStatus: 410 })

  booking.answer = (_, response) => void response.writeHead(503, { 'retry-after': '900' }).end()
  await endOne(service)
  await until(async () => (await one(service, 'state=pending'))?.attempt === 1)
  const waits = Date.parse((await one(service, 'state=pending')).nextAttemptAt) - clock.now()
  t.equal(waits, 900_000)
})

onEveryEngine(t, 'a receiver that has been dead for a day is told of, once', async (t, databaseUrl) => {
  const booking = await startReceiver(t)
  const lines: Array<Record<string, unknown>> = []
  const onLog = (line: Record<string, unknown>) => void lines.push(line)
  const url = booking.url.replace('http://', 'http://somebody:sEcReT@')
  const env = tells({ booking: { url: `${url}?token=sEcReT` } })
  const service = await startService(t, { databaseUrl, env, onLog })
  booking.answer = (_, response) => void response.writeHead(500).end()
  const status = async () => (await service.request('GET', '/status')).json().notifications
  const told = (message: string) => lines.filter(({ msg }) => msg === message)
  const attempts = () => told('notification.attempted').length
  await endOne(service)
  await until(async () => (await status()).failing.length > 0)
  t.match(await status(), { failing: [{ caller: 'booking', why: 'answered 500' }] })
  t.same(told('notifications.dead'), [])

  const since = Date.now() - 24 * HOUR
  await service.app.database.db.updateTable('receivers').set({ failing_since: since }).execute()
  for (let i = 0; i < 3; i += 1) {
    const before = attempts()
    await endOne(service)
    await until(() => attempts() > before)
  }
  t.match(told('notifications.dead'), [
    { level: 50, caller: 'booking', to: new URL(booking.url).origin, error: 'answered 500' },
  ])
  t.equal(told('notifications.dead').length, 1)
  const { text } = await service.app.metrics()
  const found = /^curfew_notifications_failing_seconds\{requested_by="booking"\} (\S+)$/m.exec(text)
  t.ok(Number(found?.[1]) >= 86_400, `${found?.[1]} s`)

  booking.answer = (_, response) => void response.end()
  await endOne(service)
  await until(() => told('notifications.recovered').length === 1)
  t.match(await status(), { failing: [] })
  t.notMatch(JSON.stringify(lines), 'sEcReT')
})

onEveryEngine(t, 'many are told again at once, one’s own, an operator’s all', async (t, databaseUrl) => {
  const booking = await startReceiver(t)
  const desk = await startReceiver(t)
  const service = await startService(t, { databaseUrl, env: tells({ booking, desk }) })
  const { request, sandbox } = service
  for (const receiver of [booking, desk])
    receiver.answer = (_, response) => void response.writeHead(410).end()
  const { id: room } = sandbox.createRoom({})
  for (const as of ['booking', 'desk'] as const)
    for (let i = 0; i < 120; i += 1)
      await request('POST', `/v1/sessions/${sandbox.startSession({ room }).id}/end`, { as })
  const failed = async (as: 'booking' | 'desk') =>
    (await request('GET', '/v1/notifications?state=failed&type=curfew.ending.ended&limit=200', { as })).json()
      .data
  await until(async () => (await failed('booking')).length === 120 && (await failed('desk')).length === 120)
  for (const receiver of [booking, desk]) receiver.answer = (_, response) => void response.end()

  const retry = (body: object, as: 'booking' | 'desk' | 'ops' = 'booking') =>
    request('POST', '/v1/notifications/retry', { body, as })
  const wanted = { filter: { state: 'failed', type: 'curfew.ending.ended' } }
  t.match((await retry({ ...wanted, dryRun: true })).json(), {
    matched: 120,
    changed: 120,
    skipped: 0,
    more: false,
    dryRun: true,
  })
  t.equal((await failed('booking')).length, 120, 'only tried out')
  t.equal((await retry({ filter: { caller: 'desk' } })).statusCode, 403)
  t.equal((await retry({ filter: {} })).statusCode, 422)
  t.equal((await retry({ filter: { state: 'told' } })).statusCode, 422)
  const done = (await retry(wanted)).json()
  t.match(done, { matched: 120, changed: 120, skipped: 0, more: false, dryRun: false })
  t.equal(done.notifications.length, 100)
  await until(async () => (await failed('booking')).length === 0)
  t.equal((await failed('desk')).length, 120)
  t.match((await retry({ filter: { caller: 'desk', state: 'failed' } }, 'ops')).json().changed, 120)
  await until(async () => (await failed('desk')).length === 0)
  t.same([...booking.faults, ...desk.faults], [])
})
