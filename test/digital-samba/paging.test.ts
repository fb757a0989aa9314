import t from 'tap'
import { clientFor, errorOf, everyPage, httpServer, recorder, sandboxFor } from './helper.ts'

const item = (id: string, more = {}) => ({ id, start_time: '2024-03-27 08:15:36', live: true, ...more })
const items = (from: number, count: number) => Array.from({ length: count }, (_, i) => item(`s-${from + i}`))

for (const [count, calls] of [
  [0, 1],
  [1, 1],
  [99, 1],
  [100, 2],
  [101, 2],
  [250, 3],
] as const)
  t.test(`${count} live sessions are ${calls} calls`, async (t) => {
    const sandbox = await sandboxFor(t)
    const room = sandbox.createRoom({ friendlyUrl: 'the-room' })
    const client = clientFor(t, sandbox.url)
    const ids = Array.from({ length: count }, () => sandbox.startSession({ room: room.id }).id).sort()
    for (const where of [undefined, room.id, 'the-room']) {
      const caller = recorder()
      const found = await everyPage(client.liveSessions(where, caller))
      t.same(found.map(({ id }) => id).sort(), ids, where ?? 'the whole team')
      t.equal(caller.calls.length, calls, 'each page is asked for and told by itself')
      t.same(caller.story, Array(calls).fill(['admit', 'ok']).flat())
      const operation = where === undefined ? 'sessions' : 'room-sessions'
      t.ok(caller.calls.every((call) => call.operation === operation))
    }
  })

t.test('only the sessions of the room that was asked for', async (t) => {
  const sandbox = await sandboxFor(t)
  const [mine, other] = [sandbox.createRoom({ friendlyUrl: 'mine' }), sandbox.createRoom()]
  const session = sandbox.startSession({ room: mine.id })
  sandbox.startSession({ room: other.id })
  sandbox.endSession(sandbox.startSession({ room: mine.id }).id)
  const found = await everyPage(clientFor(t, sandbox.url).liveSessions('mine', recorder()))
  t.same(
    found.map(({ id }) => id),
    [session.id],
  )
})

t.test('sessions that end or start between two pages make it skip nobody', async (t) => {
  const sandbox = await sandboxFor(t)
  const room = sandbox.createRoom()
  const ids = Array.from({ length: 250 }, (_, i) => sandbox.startSession({ room: room.id, startTime: i }).id)
  const found: string[] = []
  for await (const page of clientFor(t, sandbox.url).liveSessions(room.id, recorder())) {
    found.push(...page.map(({ id }) => id))
    // The very one that the next page begins after, too.
    for (const { id } of page) sandbox.endSession(id)
    sandbox.startSession({ room: room.id, startTime: 0 })
  }
  t.same(
    ids.filter((id) => !found.includes(id)),
    [],
  )
})

for (const total of [2, '2', undefined, null, 'many', 999])
  t.test(`total_count ${JSON.stringify(total)} is not what is relied on`, async (t) => {
    const server = await httpServer(t, (_, response) =>
      response.end(JSON.stringify({ data: items(0, 2), total_count: total })),
    )
    const found = await everyPage(clientFor(t, server.url).liveSessions(undefined, recorder()))
    t.equal(found.length, 2)
    t.equal(server.arrived.calls, 1)
  })

t.test('what is asked for: live ones, by the hundred, oldest first, after the last', async (t) => {
  const asked: string[] = []
  const server = await httpServer(t, ({ url = '' }, response) => {
    asked.push(url.split('?')[1] ?? '')
    response.end(JSON.stringify({ data: asked.length === 1 ? items(0, 100) : items(100, 3) }))
  })
  const found = await everyPage(clientFor(t, server.url).liveSessions(undefined, recorder()))
  t.equal(found.length, 103)
  t.same(
    asked.map((query) => Object.fromEntries(new URLSearchParams(query))),
    [
      { live: 'true', limit: '100', order: 'asc' },
      { live: 'true', limit: '100', order: 'asc', after: 's-99' },
    ],
  )
})

t.test('a far side that answers the same full page for ever is stopped', async (t) => {
  const server = await httpServer(t, (_, response) => response.end(JSON.stringify({ data: items(0, 100) })))
  const error = await errorOf(everyPage(clientFor(t, server.url).liveSessions(undefined, recorder())))
  t.match(error, { name: 'MalformedAnswerError', message: 'answered a page that brings nothing new' })
  t.equal(server.arrived.calls, 2)
})

t.test('what says that it is not live is left out, and still counts for the page', async (t) => {
  const pages = [[...items(0, 99), item('s-99', { live: false })], [item('s-100', { live: undefined })]]
  const server = await httpServer(t, (_, response) => response.end(JSON.stringify({ data: pages.shift() })))
  const found = await everyPage(clientFor(t, server.url).liveSessions(undefined, recorder()))
  t.equal(found.length, 100)
  t.notOk(found.some(({ id }) => id === 's-99'))
  t.ok(
    found.some(({ id }) => id === 's-100'),
    'one that does not say counts as live',
  )
})

t.test('a list that is not as documented is refused, not guessed at', async (t) => {
  let body: unknown
  const server = await httpServer(t, (_, response) => response.end(JSON.stringify(body)))
  const client = clientFor(t, server.url)
  for (body of [
    null,
    [],
    {},
    { data: null },
    { data: {} },
    { data: [null] },
    { data: ['s'] },
    { data: [{ start_time: '2024-03-27 08:15:36' }] },
    { data: [item('')] },
    { data: [item('a\u0000b')] },
  ]) {
    const error = await errorOf(everyPage(client.liveSessions('a-room', recorder())))
    t.equal(error.name, 'MalformedAnswerError', JSON.stringify(body))
  }
})

t.test('an external id that is not set is null', async (t) => {
  const data = [item('a', { room_external_id: 'x' }), item('b', { room_external_id: null }), item('c')]
  const server = await httpServer(t, (_, response) => response.end(JSON.stringify({ data })))
  const found = await everyPage(clientFor(t, server.url).liveSessions(undefined, recorder()))
  t.same(
    found.map(({ externalId }) => externalId),
    ['x', null, null],
  )
})

t.test('one odd session among others is left out, or has no start; the rest go on', async (t) => {
  const odd = [7, null, item(''), item('x\u0000'), {}, item('b', { start_time: null }), item('a')]
  const strange = item('c', { start_time: 'yesterday', room_external_id: 'a\u0000b', friendly_url: 'ä ö' })
  const data = [item('a'), ...odd, strange]
  const server = await httpServer(t, (_, response) => response.end(JSON.stringify({ data })))
  const told: unknown[] = []
  const client = clientFor(t, server.url, { onOdd: (what) => told.push(what) })
  const found = await everyPage(client.liveSessions(undefined, recorder()))
  t.match(found, [
    { id: 'a', startedAt: Number },
    { id: 'b', startedAt: undefined },
    { id: 'c', startedAt: undefined, externalId: null, friendlyUrl: null },
  ])
  t.equal(found.length, 3, 'and the same one twice is one')
  t.same(told, [{ operation: 'sessions', nameless: 5, withoutStart: ['b', 'c'] }])
})

t.test('a list without end is stopped, that of a room after ten pages', async (t) => {
  let next = 0
  const server = await httpServer(t, (_, response) => {
    response.end(JSON.stringify({ data: items(next, 100) }))
    next += 100
  })
  const client = clientFor(t, server.url)
  const room = await errorOf(everyPage(client.liveSessions('a-room', recorder())))
  t.match(room, { name: 'MalformedAnswerError', message: /without end/ })
  t.equal(server.arrived.calls, 10)
  const team = await errorOf(everyPage(client.liveSessions(undefined, recorder())))
  t.match(team, { name: 'MalformedAnswerError', message: /without end/ })
  t.equal(server.arrived.calls, 210)
})
