import t from 'tap'
import { build, type Json } from './helper.ts'

const ids = ({ data }: Json): string[] => data.map(({ id }: Json) => id)

t.test('orders by start, then by creation; pages by offset', async (t) => {
  const { sandbox, json } = await build(t)
  sandbox.createRoom({ friendlyUrl: 'r-1' })
  for (const [id, startTime] of [
    ['b1', 2000],
    ['c', 3000],
    ['a', 1000],
    ['b2', 2000],
  ] as const) {
    sandbox.startSession({ room: 'r-1', id, startTime })
  }
  t.same(ids(await json('GET', '/sessions')), ['c', 'b2', 'b1', 'a'], 'the newest first by default')
  t.same(ids(await json('GET', '/sessions?order=asc')), ['a', 'b1', 'b2', 'c'])
  t.same(ids(await json('GET', '/sessions?limit=2&offset=1')), ['b2', 'b1'])
  t.same(ids(await json('GET', '/sessions?limit=2&offset=3&order=asc')), ['c'])
  t.same(await json('GET', '/sessions?offset=4'), { data: [], total_count: '4' })
})

t.test('`after` goes on behind a session, even one that has ended meanwhile', async (t) => {
  const { sandbox, json } = await build(t)
  sandbox.createRoom({ friendlyUrl: 'r-1' })
  for (const id of ['a', 'b', 'c', 'd']) sandbox.startSession({ room: 'r-1', id })
  sandbox.endSession('b')
  t.same(ids(await json('GET', '/sessions?live=true&order=asc&after=b')), ['c', 'd'])
  t.same(ids(await json('GET', '/sessions?live=true&after=b')), ['a'])
  t.same(ids(await json('GET', '/sessions?live=true&order=asc&after=a&limit=1')), ['c'])
  t.same(ids(await json('GET', '/rooms/r-1/sessions?after=d')), ['c', 'b', 'a'])
  t.same(ids(await json('GET', '/sessions?after=a')), [])
})

t.test('filters by room, by life and by day', async (t) => {
  const { sandbox, api, json } = await build(t)
  const room = sandbox.createRoom({ friendlyUrl: 'r-1' })
  sandbox.createRoom({ friendlyUrl: 'r-2' })
  sandbox.startSession({ room: 'r-1', id: 'a', startTime: Date.parse('2026-11-20T00:00:00Z') })
  sandbox.startSession({ room: 'r-2', id: 'b', startTime: Date.parse('2026-11-21T23:59:59Z') })
  sandbox.startSession({ room: 'r-1', id: 'c', startTime: Date.parse('2026-11-22T00:00:00Z') })
  sandbox.endSession('a')
  t.same(ids(await json('GET', `/sessions?room_id=${room.id}`)), ['c', 'a'])
  t.same(await json('GET', '/sessions?room_id=r-1'), { data: [], total_count: '0' })
  t.same(ids(await json('GET', '/sessions?live=false')), ['a'])
  t.same(ids(await json('GET', '/sessions?date_start=2026-11-20&date_end=2026-11-21')), ['b', 'a'])
  t.same(ids(await json('GET', '/sessions?date_start=2026-11-21')), ['c', 'b'])

  const byUrl = await json('GET', '/rooms/r-1/sessions?live=true')
  t.same(ids(byUrl), ['c'])
  t.equal(byUrl.total_count, 1, 'a number here')
  t.same(await json('GET', `/rooms/${room.id}/sessions?live=true`), byUrl)
  t.equal((await api('GET', '/rooms/nope/sessions')).status, 404)
})

t.test('what does not fit is a 422 with errors by field', async (t) => {
  const { api } = await build(t)
  for (const field of [
    'limit=0',
    'limit=101',
    'limit=x',
    'offset=-1',
    'order=up',
    'after=nope',
    'live=maybe',
    'date_start=2026-13-01',
    'date_end=yesterday',
  ]) {
    const answer = await api('GET', `/sessions?${field}`)
    t.equal(answer.status, 422, field)
    t.same(Object.keys(((await answer.json()) as Json).errors), [field.split('=')[0]])
  }
})

t.test('5000 live sessions are listed completely, and ended', async (t) => {
  const { sandbox, json } = await build(t)
  const room = sandbox.createRoom()
  for (let i = 0; i < 5000; i++) sandbox.startSession({ room: room.id, startTime: (i * 7919) % 5000 })
  const seen = new Set<string>()
  for (let offset = 0; ; offset += 100) {
    const page = ids(await json('GET', `/sessions?live=true&offset=${offset}`))
    for (const id of page) seen.add(id)
    if (page.length < 100) break
  }
  t.equal(seen.size, 5000)
  for (const id of seen) sandbox.endSession(id)
  t.equal(sandbox.liveSessions().length, 0)
})
