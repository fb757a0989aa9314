import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { WebhookFields } from '../../src/sandbox/sandbox.ts'
import { build, type Json } from './helper.ts'

interface Delivery {
  authorization: string | undefined
  body: Json
}

async function receiver(t: { teardown(handler: () => void): void }) {
  const deliveries: Delivery[] = []
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    deliveries.push({ authorization: request.headers.authorization, body: JSON.parse(text) })
    response.statusCode = 204
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return { deliveries, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook` }
}

const ALL: WebhookFields['events'] = [
  'session_started',
  'session_ended',
  'participant_joined',
  'participant_left',
]

t.test('are created, listed, changed and deleted', async (t) => {
  const { api, json } = await build(t)
  t.ok((await json('GET', '/events')).includes('session_ended'))
  const hook = { endpoint: 'https://example.com/hook', events: ['session_ended'], name: 'Hook' }
  const made = await json('POST', '/webhooks', { ...hook, authorization_header: 'secret' })
  t.match(made, { ...hook, authorization_header: 'secret', created_at: '2026-11-23T12:00:00Z' })
  const { events, ...listed } = made
  t.same(await json('GET', '/webhooks'), { data: [listed], total_count: '1' })
  t.match(await json('PATCH', `/webhooks/${made.id}`, { name: null }), { name: null, events })
  t.same(await json('GET', `/webhooks/${made.id}`), { ...made, name: null })
  t.equal((await api('DELETE', `/webhooks/${made.id}`)).status, 204)
  for (const method of ['GET', 'PATCH', 'DELETE']) {
    t.equal((await api(method, `/webhooks/${made.id}`)).status, 404)
  }
})

t.test('are refused with errors by field', async (t) => {
  const { api } = await build(t)
  const refusal = async (body: unknown) => {
    const answer = await api('POST', '/webhooks', body)
    return [answer.status, Object.keys(((await answer.json()) as Json).errors ?? {})]
  }
  const events = ['session_ended']
  t.same(await refusal({}), [422, ['endpoint', 'events']])
  t.same(await refusal({ endpoint: `https://example.com/${'x'.repeat(81)}`, events }), [422, ['endpoint']])
  t.same(await refusal({ endpoint: 'no url', events }), [422, ['endpoint']])
  t.same(await refusal({ endpoint: 'https://a.example', events: ['x'], name: 'ab' }), [
    422,
    ['events', 'name'],
  ])
})

t.test('are delivered as documented', async (t) => {
  const { sandbox, clock } = await build(t)
  const { deliveries, url } = await receiver(t)
  sandbox.createWebhook({ endpoint: url, events: ALL, authorizationHeader: 'secret' })
  sandbox.createRoom({ id: 'room-id', friendlyUrl: 'r-1' })
  const { id } = sandbox.enter('r-1', 'John Smith')
  sandbox.endSession(id)
  await sandbox.settled()
  const timestamp = clock.now() / 1000
  t.same(
    deliveries.map(({ body }) => body.eventType),
    ['session_started', 'participant_joined', 'participant_left', 'session_ended'],
  )
  t.same(deliveries[3], {
    authorization: 'Bearer secret',
    body: { eventType: 'session_ended', sessionId: id, roomId: 'room-id', timestamp, data: {} },
  })
  t.match(deliveries[1]?.body, {
    sessionId: id,
    roomId: 'room-id',
    data: { participantId: String, name: 'John Smith', role: 'moderator' },
  })
})

t.test('can be spelt the newer way, repeated, shuffled, delayed and dropped', async (t) => {
  const { sandbox, clock } = await build(t)
  const { deliveries, url } = await receiver(t)
  sandbox.createWebhook({
    endpoint: url,
    events: ['session_started', 'session_ended'],
    authorizationHeader: 'secret',
  })
  sandbox.createRoom({ id: 'room-id', friendlyUrl: 'r-1' })
  sandbox.configure({
    webhooks: { verbatim: true, newerNames: true, repeat: 1, shuffle: true, delayMs: 500 },
  })
  const { id } = sandbox.enter('r-1')
  sandbox.endSession(id)
  while (clock.nextWake() === undefined) await new Promise(setImmediate)
  t.same(deliveries, [])
  await clock.advance(500)
  await sandbox.settled()
  const names = ['session_ended', 'session_ended', 'session_started', 'session_started']
  t.match(
    deliveries,
    names.map((event) => ({ authorization: 'secret', body: { event, room_id: 'room-id', session_id: id } })),
  )

  sandbox.webhooks.drop = true
  sandbox.enter('r-1')
  await sandbox.settled()
  t.equal(deliveries.length, 4)
})

t.test('an endpoint that is not there, and a close, leave nothing behind', async (t) => {
  const { sandbox } = await build(t)
  sandbox.createWebhook({ endpoint: 'http://127.0.0.1:1/hook', events: ALL })
  sandbox.createRoom({ friendlyUrl: 'r-1' })
  sandbox.enter('r-1')
  await t.resolves(sandbox.settled())
  sandbox.webhooks.delayMs = 60_000
  sandbox.enter('r-1')
  await sandbox.close()
  await t.resolves(sandbox.settled())
})
