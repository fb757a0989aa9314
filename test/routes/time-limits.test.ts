import t from 'tap'
import { onEveryEngine } from '../helper/engines.ts'
import { isProblem } from './problems.ts'
import { startScene } from './scene.ts'

const UUID = 'edb7a1cb-0627-44ed-9ae4-62a344d6e8a9'
const path = (room: string) => `/v1/time-limits/${encodeURIComponent(room)}`

onEveryEngine(t, 'a rule is made, changed, read and removed', async (t, databaseUrl) => {
  const { request, at, clock } = await startScene(t, { databaseUrl })
  const made = await request('PUT', path('room'), { body: { maxMinutes: 50, warnMinutes: [10, 2] } })
  t.equal(made.statusCode, 201)
  const { createdAt, ...rule } = made.json()
  t.same(rule, {
    room: 'room',
    maxMinutes: 50,
    warnMinutes: [10, 2],
    requestedBy: 'booking',
    updatedAt: createdAt,
  })
  t.ok(Math.abs(Date.parse(createdAt) - Date.parse(at(0))) < 1000)
  t.same((await request('GET', path('room'))).json(), made.json())
  await clock.advance(1000)
  const changed = await request('PUT', path('room'), { body: { maxMinutes: 30 } })
  t.equal(changed.statusCode, 200)
  t.match(changed.json(), { ...rule, maxMinutes: 30, warnMinutes: null, createdAt, updatedAt: /./ })
  t.ok(changed.json().updatedAt > createdAt)
  const removed = await request('DELETE', path('room'))
  t.equal(removed.statusCode, 200)
  t.same(removed.json(), changed.json())
  for (const method of ['GET', 'DELETE']) isProblem(t, await request(method, path('room')), 404, 'not-found')
  t.same((await request('GET', '/v1/time-limits')).json(), { data: [], nextCursor: null })
  t.equal((await request('PUT', path('room'), { body: { maxMinutes: 1 } })).statusCode, 201, 'a new one')
})

const ROOMS: [written: string, kept: string][] = [
  ['abc', 'abc'],
  ['A_very-Friendly-URL-0', 'A_very-Friendly-URL-0'],
  ['a'.repeat(64), 'a'.repeat(64)],
  [UUID.toUpperCase(), UUID],
  ['external:a', 'external:a'],
  ['external:Raum 4 für Übungen/50 % & ?', 'external:Raum 4 für Übungen/50 % & ?'],
  ['external:external:x', 'external:external:x'],
  [`external:${UUID.toUpperCase()}`, `external:${UUID.toUpperCase()}`],
  ['external:会議室🙂', 'external:会議室🙂'],
  [`external:${'ü'.repeat(200)}`, `external:${'ü'.repeat(200)}`],
]

onEveryEngine(t, 'a room is named in any of its three ways', async (t, databaseUrl) => {
  const { request } = await startScene(t, { databaseUrl })
  for (const [written, kept] of ROOMS) {
    const made = await request('PUT', path(written), { body: { maxMinutes: 50 } })
    t.equal(made.statusCode, 201, written.slice(0, 40))
    t.equal(made.json().room, kept)
    t.equal((await request('PUT', path(kept), { body: { maxMinutes: 50 } })).statusCode, 200, 'the same')
    t.equal((await request('GET', path(written))).json().room, kept)
  }
  const names = ROOMS.map(([, kept]) => kept)
  for (const limit of [1, 3, 9, 10, 200]) {
    const found: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const search = new URLSearchParams({ limit: String(limit), ...(cursor === '' ? {} : { cursor }) })
      const page = (await request('GET', `/v1/time-limits?${search}`, { as: 'billing' })).json()
      t.ok(page.data.length <= limit)
      found.push(...page.data.map(({ room }: { room: string }) => room))
      cursor = page.nextCursor
    }
    t.equal(found.length, names.length)
    t.same(found.toSorted(), names.toSorted(), `in pages of ${limit}`)
  }
  for (const [written] of ROOMS) t.equal((await request('DELETE', path(written))).statusCode, 200)
})

onEveryEngine(t, 'only who made a rule, and operators, change it', async (t, databaseUrl) => {
  const { request } = await startScene(t, { databaseUrl })
  const before = (await request('PUT', path('room'), { body: { maxMinutes: 50 } })).json()
  const body = { maxMinutes: 1 }
  isProblem(t, await request('PUT', path('room'), { body, as: 'billing' }), 403, 'forbidden')
  isProblem(t, await request('DELETE', path('room'), { as: 'billing' }), 403, 'forbidden')
  isProblem(t, await request('PUT', path('room'), { body, as: null }), 401, 'unauthorized')
  t.same((await request('GET', path('room'), { as: 'billing' })).json(), before, 'reading is free to all')
  const changed = await request('PUT', path('room'), { body, as: 'ops' })
  t.equal(changed.statusCode, 200)
  t.match(changed.json(), { maxMinutes: 1, requestedBy: 'booking' })
  t.equal((await request('PUT', path('room'), { body: { maxMinutes: 2 } })).statusCode, 200, 'still theirs')
  t.equal((await request('DELETE', path('room'), { as: 'ops' })).statusCode, 200)
  const theirs = await request('PUT', path('room'), { body, as: 'billing' })
  t.match(theirs.json(), { requestedBy: 'billing' })
})

const good = { maxMinutes: 50 }
const MISTAKES: [method: string, url: string, body: unknown, pointers: string[]][] = [
  ['PUT', path('room'), {}, ['/maxMinutes']],
  ['PUT', path('room'), [], ['']],
  ['PUT', path('room'), null, ['']],
  ['PUT', path('room'), 'abc', ['']],
  ...[0, -1, 1.5, 10_081, 1e99, '50', null, true, [50]].map(
    (maxMinutes) => ['PUT', path('room'), { maxMinutes }, ['/maxMinutes']] as never,
  ),
  ...[10, '10', null, {}].map(
    (warnMinutes) => ['PUT', path('room'), { ...good, warnMinutes }, ['/warnMinutes']] as never,
  ),
  ...[0, -1, 1441, 2.5, '2', null].map(
    (minutes) => ['PUT', path('room'), { ...good, warnMinutes: [5, minutes] }, ['/warnMinutes/1']] as never,
  ),
  ['PUT', path('room'), { ...good, warnMinutes: [2, 2] }, ['/warnMinutes']],
  ['PUT', path('room'), { maxMinutes: 5, warnMinutes: [10] }, ['/warnMinutes/0']],
  ['PUT', path('room'), { maxMinutes: 5, warnMinutes: [4, 5, 2, 6] }, ['/warnMinutes/1', '/warnMinutes/3']],
  ['PUT', path('room'), { ...good, warnMinutes: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] }, ['/warnMinutes']],
  ['PUT', path('room'), { ...good, requestedBy: 'billing' }, ['/requestedBy']],
  ['PUT', path('room'), { maxMinutes: 0, warnMinutes: 1, x: 1 }, ['/maxMinutes', '/warnMinutes', '/x']],
  ['PUT', `${path('room')}?a=1`, good, ['/a']],
  ['PUT', path('ab'), good, ['/room']],
  ['PUT', path('a'.repeat(65)), good, ['/room']],
  ['PUT', path('a room'), good, ['/room']],
  ['PUT', path('Räume'), good, ['/room']],
  ['PUT', path('external:'), good, ['/room']],
  ['PUT', path(`external:${'x'.repeat(201)}`), good, ['/room']],
  ['PUT', path('external:a\0b'), good, ['/room']],
  ['PUT', path('External:a'), good, ['/room']],
  ['GET', path('a room'), undefined, ['/room']],
  ['DELETE', path('a room'), undefined, ['/room']],
  ['GET', '/v1/time-limits?limit=0', undefined, ['/limit']],
  ['GET', '/v1/time-limits?limit=201', undefined, ['/limit']],
  ['GET', '/v1/time-limits?limit=1&limit=2', undefined, ['/limit']],
  ['GET', '/v1/time-limits?cursor=', undefined, ['/cursor']],
  ['GET', '/v1/time-limits?cursor=a%00b', undefined, ['/cursor']],
  ['GET', '/v1/time-limits?page=2', undefined, ['/page']],
  ['GET', '/v1/holds?cursor=abc', undefined, ['/cursor']],
  ['GET', '/v1/holds?limit=x', undefined, ['/limit']],
  ['GET', '/v1/holds?state=open', undefined, ['/state']],
  ['DELETE', '/v1/holds/abc', undefined, ['/id']],
]

onEveryEngine(t, 'every mistake is named', async (t, databaseUrl) => {
  const { request } = await startScene(t, { databaseUrl })
  const headers = { 'content-type': 'application/json' }
  for (const [method, url, body, pointers] of MISTAKES)
    await t.test(`${method} ${url.slice(0, 60)} ${JSON.stringify(body) ?? ''}`, async (t) => {
      const sent = body === undefined ? {} : { body: JSON.stringify(body), headers }
      isProblem(t, await request(method, url, sent), 422, 'invalid', pointers)
    })
  t.same((await request('GET', '/v1/time-limits')).json().data, [])
  const late = await request('PUT', path('room'), { body: { maxMinutes: 5, warnMinutes: [10] } })
  t.match(late.json().detail, /^\/warnMinutes\/0 must be less than maxMinutes \(5\): /)
})
