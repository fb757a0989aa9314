import {
  CloudEvent,
  type CloudEventV1,
  emitterFor,
  HTTP,
  httpTransport,
  type Message,
  Mode,
} from 'cloudevents'
import t, { type Test } from 'tap'
import { KEYS, until } from '../helper/service.ts'
import { HOUR, type Scene, startScene } from '../routes/scene.ts'
import { contents } from './contents.ts'
import { answersOf, BATCHED, type EventAnswer } from './messages.ts'
import { EVENT_SECRETS, SECRETS, signatureOf } from './signing.ts'

type Headers = Record<string, string>
const PREFIX = 'com.example.'
const KNOWN =
  'known are booking.scheduled, booking.rescheduled, booking.cancelled, booking.canceled, ' +
  'billing.suspended, billing.resumed, time_limit.reached'

interface Shop extends Scene {
  url: string
  /** An event of the official SDK, which thinks of an id and a time where `more` has none. */
  event(type: string, data: object, more?: Partial<CloudEventV1<unknown>>): CloudEvent<unknown>
  /** A message of the official SDK over a socket of its own; what became of its events. */
  transport(message: Message, headers?: Headers): Promise<EventAnswer[]>
}

const KEY = { authorization: `Bearer ${KEYS.booking}` }

async function startShop(t: Test): Promise<Shop> {
  const scene = await startScene(t, { env: { EVENT_SECRETS } })
  const url = `${await scene.app.listen({ port: 0, host: '127.0.0.1' })}/v1/events`
  const event: Shop['event'] = (type, data, more = {}) =>
    new CloudEvent({ source: '/shop', type: PREFIX + type, data, ...more })
  const transport: Shop['transport'] = async ({ headers, body }, more = KEY) => {
    const all = { ...(headers as Headers), connection: 'close', ...more }
    const answer = await fetch(url, { method: 'POST', headers: all, body: body as string })
    const text = await answer.text()
    const told = answersOf({ statusCode: answer.status, body: text })
    t.equal(answer.headers.get('location'), null, 'a 202 without a place to look')
    t.match(answer.headers.get('content-type'), /^application\/json/)
    return told
  }
  return { ...scene, url, event, transport }
}

const batch = (...events: CloudEvent<unknown>[]): Message => ({
  // The SDK reads batches and does not write them.
  headers: { 'content-type': BATCHED },
  body: `[${events.map((event) => event.toString())}]`,
})
const plain = (event: CloudEvent<unknown>): Message => ({
  headers: { 'content-type': 'application/json; charset=utf-8' },
  body: event.toString(),
})

/** Whatever the form, it is the same event to us. */
const FORMS: [form: string, tell: (event: CloudEvent<unknown>) => Message][] = [
  ['structured', HTTP.structured],
  ['binary', HTTP.binary],
  ['batched', batch],
  ['plain', plain],
]

t.test(
  'events of the official SDK are accepted in every form, and each says what became of it',
  async (t) => {
    const { event, transport, ending, at, now } = await startShop(t)
    for (const [form, tell] of FORMS) {
      const bookingId = `booked ${form}`
      const booked = (end: number, time: number) =>
        event('booking.scheduled', { bookingId, roomId: 'a-room', endsAt: at(end) }, { time: at(time) })
      const scheduled = booked(HOUR, 0)
      const type = `${PREFIX}booking.scheduled`
      const [accepted] = await transport(tell(scheduled))
      t.match(accepted, { id: scheduled.id, type, status: 'accepted', endings: [String] }, form)
      t.match(await ending(accepted?.endings[0] as string), {
        state: 'pending',
        target: { room: 'a-room' },
        reason: 'booking_over',
        requestedBy: 'booking',
        key: `booking:${bookingId}`,
        subject: `booking:${bookingId}`,
        dueAt: new Date(now + HOUR).toISOString(),
        metadata: { event: { source: '/shop', id: scheduled.id, type } },
      })
      for (const [other, tellAgain] of FORMS)
        t.same(
          await transport(tellAgain(scheduled)),
          [{ ...accepted, status: 'duplicate' }],
          `again ${other}`,
        )
      const late = booked(2 * HOUR, -HOUR)
      t.same(await transport(tell(late)), [{ id: late.id, type, status: 'stale', endings: [] }])
      const tea = event('tea.served', { cups: 2 })
      t.same(await transport(tell(tea)), [
        { id: tea.id, type: `${PREFIX}tea.served`, status: 'ignored', endings: [], detail: KNOWN },
      ])
      const [moved] = await transport(tell(booked(2 * HOUR, 1000)))
      t.match(moved, { status: 'accepted', endings: accepted?.endings ?? [] }, 'the same ending is moved')
      t.match(await ending(accepted?.endings[0] as string), { dueAt: new Date(now + 2 * HOUR).toISOString() })
    }
  },
)

t.test("what the SDK's own emitters send ends a session", async (t) => {
  const { event, sandbox, url, ending } = await startShop(t)
  for (const mode of [Mode.STRUCTURED, Mode.BINARY]) {
    const session = sandbox.startSession({ room: sandbox.createRoom().id })
    const emit = emitterFor(httpTransport(url), { mode })
    const limit = event('time_limit.reached', { sessionId: session.id }, { traceparent: '00-ab-cd-01' })
    const { body } = (await emit(limit, { headers: KEY })) as { body: string }
    const [accepted] = answersOf({ statusCode: 202, body })
    const id = accepted?.endings[0] as string
    const over = await until(async () => (await ending(id)).state !== 'pending' && ending(id))
    t.match(over, { state: 'ended', outcome: 'ended', reason: 'time_limit_reached', requestedBy: 'booking' })
    t.equal(session.live, false)
  }
})

const TYPES = [
  'application/cloudevents+json; charset=utf-8',
  'application/cloudevents+json;charset=UTF-8',
  'application/cloudevents+json ; charset="utf-8"',
  'Application/CloudEvents+JSON; Charset=utf-8',
  'application/json; charset=utf-8',
  'application/json',
]

t.test('parameters of the content type and its case make no difference', async (t) => {
  const { event, transport } = await startShop(t)
  const resumed = (form: string) => event('billing.resumed', { account: form })
  const isAccepted = async (type: string, message: Message) =>
    t.match(await transport({ ...message, headers: { ...message.headers, 'content-type': type } }), [
      { status: 'accepted' },
    ])
  for (const type of TYPES) await isAccepted(type, HTTP.structured(resumed(type)))
  for (const type of [`${BATCHED}; charset=utf-8`, BATCHED.toUpperCase()])
    await isAccepted(type, batch(resumed(type)))
  for (const type of ['application/json; charset=utf-8', 'application/vnd.shop+json'])
    await isAccepted(type, HTTP.binary(resumed(type)))
  await isAccepted('APPLICATION/JSON', HTTP.binary(resumed('C')))
})

t.test('who signs with the official library is known by the name of the secret', async (t) => {
  const { event, transport, ending, at, databaseUrl } = await startShop(t)
  const secrets = [
    ['shop', SECRETS.shop],
    ['till', SECRETS.till],
    ['till', SECRETS.newTill],
  ] as const
  const booking = { bookingId: 'b', roomId: 'a-room', endsAt: at(HOUR) }
  const tellSigned = (message: Message, secret: string, more: Headers = {}) =>
    transport(message, { ...signatureOf(message.body as string, { secret }), ...more })
  for (const [form, tell] of FORMS.filter(([name]) => name !== 'binary')) {
    const message = tell(event('booking.scheduled', booking, { id: form }))
    const seen = new Set<string>()
    for (const [name, secret] of secrets) {
      const [answer] = await tellSigned(message, secret)
      t.match(answer, { id: form, status: seen.has(name) ? 'duplicate' : 'accepted' }, `${form} by ${name}`)
      t.equal((await ending(answer?.endings[0] as string)).requestedBy, name)
      seen.add(name)
    }
    const now = Date.now()
    const both = secrets.slice(1).map(([, secret]) => signatureOf(message.body as string, { secret, now }))
    const list = { ...both[0], 'webhook-signature': both.map((one) => one['webhook-signature']).join(' ') }
    t.match(await tellSigned(message, SECRETS.stranger, list), [{ status: 'duplicate' }], 'two signatures')
    t.match(await tellSigned(message, SECRETS.stranger, KEY), [{ id: form }], 'a key counts more')
  }
  const { endings, events } = await contents(databaseUrl)
  t.same(endings.map(({ requested_by }) => requested_by).sort(), ['booking', 'shop', 'till'])
  t.equal(events.length, 9, 'three forms by three senders')
})
