import t from 'tap'
import { onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { type Asked, isTrue, rehearse, startRehearsal } from './rehearsing.ts'
import { HOUR } from './scene.ts'

onEveryEngine(t, 'every type of event', async (t, databaseUrl) => {
  const stage = await startRehearsal(t, databaseUrl)
  const { live, at, sandbox } = stage
  let count = 0
  const event = (type: string, data: object, more: object = {}) => {
    count += 1
    return { specversion: '1.0', id: `event-${count}`, source: '/shop', type, data, ...more }
  }
  const single = 'application/cloudevents+json'
  const post = (body: unknown, type = single): Asked => ({
    url: '/v1/events',
    body: JSON.stringify(body),
    headers: { 'content-type': type },
  })
  const statuses = (answer: { events: Array<{ status: string }> }) =>
    answer.events.map(({ status }) => status)
  const one = live()
  const booking = { bookingId: '1', roomId: one.room.id, startsAt: at(-HOUR), endsAt: at(HOUR) }
  const scheduled = post(event('booking.scheduled', booking, { time: at(-60_000) }))
  const made = await isTrue(t, stage, scheduled)
  const known = made.events[0].endings
  const duplicate = await isTrue(t, stage, scheduled, { known })
  t.same(statuses(duplicate), ['duplicate'])
  await isTrue(
    t,
    stage,
    post(event('com.example.booking.rescheduled', { ...booking, endsAt: at(2 * HOUR) })),
    { known },
  )
  const stale = await isTrue(t, stage, post(event('booking.rescheduled', booking, { time: at(-90_000) })))
  t.same(statuses(stale), ['stale'])
  const cancelled = post(event('booking.cancelled', { bookingId: '1' }))
  await isTrue(t, stage, cancelled, { known, ends: [one.id], lookUps: 1 })
  const ahead = { bookingId: '2', roomId: live().room.id, startsAt: at(HOUR), endsAt: at(2 * HOUR) }
  const booked = await isTrue(t, stage, post(event('booking.scheduled', ahead)))
  const back = post(event('booking.cancelled', { bookingId: '2' }))
  await isTrue(t, stage, back, { known: booked.events[0].endings })

  const two = live()
  await isTrue(t, stage, post(event('time_limit.reached', { sessionId: two.id })), { ends: [two.id] })
  const [three, four] = [live(), live()]
  const targets = [
    { roomId: three.room.id },
    { roomExternalId: four.room.externalId },
    { sessionId: live().id },
  ]
  const all = [three.id, four.id, sandbox.sessions.at(-1)?.id as string]
  const suspended = event('billing.suspended', { account: 'acme', targets })
  await isTrue(t, stage, post(suspended), { ends: all, lookUps: 2 })
  const graceful = event('billing.suspended', { account: 'slow', targets, graceSeconds: 600 })
  const waiting = (await isTrue(t, stage, post(graceful))).events[0].endings
  await isTrue(t, stage, post(event('billing.resumed', { account: 'slow' })), { known: waiting })
  t.same(statuses(await isTrue(t, stage, post(event('weather.changed', {})))), ['ignored'])

  const five = live()
  const batch = [
    event('billing.suspended', { account: 'brief', targets: [{ roomId: five.room.id }] }),
    event('billing.resumed', { account: 'brief' }),
    event('time_limit.reached', { roomId: five.room.friendlyUrl }),
  ]
  const batched = post(batch, 'application/cloudevents-batch+json')
  await isTrue(t, stage, batched, { ends: [five.id], lookUps: 1 })
})

onEveryEngine(t, 'rules and holds', async (t, databaseUrl) => {
  const stage = await startRehearsal(t, databaseUrl)
  const { live, request, ask, at, app } = stage
  const { id: session, room } = live()
  const rule = (maxMinutes: number, more: Partial<Asked> = {}): Asked => ({
    method: 'PUT',
    url: `/v1/time-limits/${room.id}`,
    body: { maxMinutes },
    ...more,
  })
  const first = await rehearse(t, stage, rule(120))
  t.match(first.json(), { maxMinutes: 120, dryRun: true, wouldEnd: [] })
  t.equal((await request('GET', `/v1/time-limits/${room.id}`)).statusCode, 404)
  await request('PUT', `/v1/time-limits/${room.id}`, { body: { maxMinutes: 120 } })
  await until(() => app.limits.knownSession(session))
  const { dryRun, wouldEnd, ...shorter } = (await rehearse(t, stage, rule(30))).json()
  t.equal(dryRun, true)
  t.same(wouldEnd, [session], 'it has lasted longer already')
  t.same((await rehearse(t, stage, { method: 'DELETE', url: rule(1).url })).json().wouldEnd, [])
  t.same((await rehearse(t, stage, rule(30, { as: 'billing' }))).json().status, 403)
  t.same((await request('PUT', rule(1).url, { body: { maxMinutes: 30 } })).json(), shorter)
  await stage.sandbox.waitForCalls((calls) =>
    calls.some((call) => call.session === session && call.operation === 'end'),
  )

  await ask({ target: { room: 'the-room' }, holdUntil: at(2 * HOUR) })
  const [hold] = (await request('GET', '/v1/holds')).json().data
  const lift: Asked = { method: 'DELETE', url: `/v1/holds/${hold.id}` }
  t.equal((await rehearse(t, stage, { ...lift, as: 'billing' })).statusCode, 403)
  await isTrue(t, stage, lift, { known: [hold.id] })
  t.equal((await rehearse(t, stage, lift)).statusCode, 404)
})
