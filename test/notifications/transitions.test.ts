import { randomUUID } from 'node:crypto'
import t from 'tap'
import { onEveryEngine } from '../helper/engines.ts'
import { startReceiver, tells } from '../helper/receiver.ts'
import { startService, until } from '../helper/service.ts'

onEveryEngine(
  t,
  'a caller is told what became of its endings, and of nothing else',
  async (t, databaseUrl) => {
    const booking = await startReceiver(t)
    const { sandbox, request, ending } = await startService(t, { databaseUrl, env: tells({ booking }) })
    const { id: room } = sandbox.createRoom({})
    const live = () => sandbox.startSession({ room }).id
    const ask = async (session: string, body: object = {}, as: 'booking' | 'desk' = 'booking') =>
      (await request('POST', `/v1/sessions/${session}/end`, { body, as })).json().id as string
    const kinds = (id: string) =>
      booking.received.filter(({ event }) => event.subject === id).map(({ event }) => event.type.slice(14))

    const ended = await ask(live(), { metadata: { ticket: 'A-1' }, key: 'one' })
    await until(() => kinds(ended).includes('ended'))
    const [told] = booking.of('ended')
    const { attempts: _, notifications: __, ...shown } = await ending(ended)
    t.match(told?.headers, {
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'user-agent': 'curfew',
      'webhook-id': told?.event.id,
    })
    t.match(told?.event, {
      specversion: '1.0',
      source: '/curfew',
      type: 'curfew.ending.ended',
      subject: ended,
      datacontenttype: 'application/json',
    })
    t.same(Object.keys(told?.event ?? {}).sort(), [
      'data',
      'datacontenttype',
      'id',
      'source',
      'specversion',
      'subject',
      'time',
      'type',
    ])
    t.same({ ...told?.event.data, confirmedAt: null }, { ...shown, confirmedAt: null })
    t.equal(told?.event.time, shown.finishedAt)
    t.equal(told?.headers.traceparent?.slice(0, 35).length, 35, 'the trace it belongs to goes with it')

    const failed = await ask(randomUUID())
    await until(() => kinds(failed).length > 0)
    t.match(booking.of('failed')[0]?.event.data, { state: 'failed', failure: 'session_not_found' })

    const later = { dueAt: new Date(Date.now() + 3_600_000).toISOString() }
    const own = await ask(live(), later)
    const taken = await ask(live(), later)
    t.equal((await request('POST', `/v1/endings/${own}/cancel`)).statusCode, 200)
    t.equal((await request('POST', `/v1/endings/${taken}/cancel`, { as: 'ops' })).statusCode, 200)
    await until(() => kinds(taken).length > 0)
    t.match(booking.of('cancelled')[0]?.event.data, {
      state: 'cancelled',
      changes: [{ by: 'ops', change: 'cancelled' }],
    })
    t.same(kinds(own), [], 'whoever took its own back knows')

    const over = live()
    const gone = await ask(over, { dueAt: new Date(Date.now() + 3_600_000).toISOString() })
    sandbox.endSession(over)
    t.equal(
      (await request('PATCH', `/v1/endings/${gone}`, { body: { dueAt: new Date().toISOString() } }))
        .statusCode,
      200,
    )
    await until(() => kinds(gone).length === 2)
    t.same(kinds(gone).sort(), ['confirmed', 'ended'], 'seen to be over at once')

    const others = await ask(live(), {}, 'desk')
    await until(async () => (await ending(others)).state === 'ended')
    t.same(kinds(others), [], 'of callers without a URL nobody is told')
    const list = (await request('GET', '/v1/notifications')).json().data
    await until(() => booking.received.length === list.length)
    t.same(new Set(booking.received.map(({ id }) => id)), new Set(list.map(({ id }: { id: string }) => id)))
    t.same(booking.faults, [])
  },
)

onEveryEngine(
  t,
  'it is told when the session is seen to be over, and when it was not',
  async (t, databaseUrl) => {
    const booking = await startReceiver(t)
    const webhook = 'webhook-secret-0123456789'
    const { sandbox, request } = await startService(t, {
      databaseUrl,
      env: { ...tells({ booking }), DIGITAL_SAMBA_WEBHOOK_SECRET: webhook },
    })
    const { id: room } = sandbox.createRoom({})
    const { id: session } = sandbox.startSession({ room })
    const { id } = (await request('POST', `/v1/sessions/${session}/end`)).json()
    await until(() => booking.of('ended').length === 1)
    const answer = await request('POST', '/v1/webhooks/digital-samba', {
      as: null,
      headers: { authorization: `Bearer ${webhook}` },
      body: { event: 'session_ended', session_id: session },
    })
    t.equal(answer.statusCode, 204)
    await until(() => booking.of('confirmed').length === 1)
    t.match(booking.of('confirmed')[0]?.event, { subject: id, data: { state: 'ended', outcome: 'ended' } })
    t.ok(booking.of('confirmed')[0]?.event.data.confirmedAt)
    t.equal(booking.of('ended')[0]?.event.data.confirmedAt, null, 'as it was then')
  },
)
