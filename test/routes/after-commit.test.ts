import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { startScene } from './scene.ts'

/** Takes a table away, so that nothing that reads it can. */
function without(databaseUrl: string, table: string, move: 'away' | 'back' = 'away'): void {
  const db = new DatabaseSync(databaseUrl.slice('file:'.length))
  const [from, to] = move === 'away' ? [table, `${table}_away`] : [`${table}_away`, table]
  db.exec(`alter table ${from} rename to ${to}`)
  db.close()
}

t.test('what was moved is answered, whatever cannot be read afterwards', async (t) => {
  const scene = await startScene(t)
  const { ask, request, at, ending, databaseUrl } = scene
  const { id } = await ask()
  const extend = () =>
    request('PATCH', `/v1/endings/${id}`, {
      body: { extendMinutes: 10 },
      headers: { 'idempotency-key': 'ten-more' },
    })
  without(databaseUrl, 'sessions')
  const dueAt = at(70 * 60_000)
  const first = await extend()
  t.equal(first.statusCode, 200, first.body)
  t.match(first.json(), { id, dueAt, inForce: null })
  const again = await extend()
  t.equal(again.headers['idempotency-replayed'], 'true')
  t.match(again.json(), { id, dueAt, inForce: null }, 'ten minutes once')
  without(databaseUrl, 'sessions', 'back')
  t.match((await extend()).json(), { dueAt, inForce: { ending: id } })
  t.equal((await ending(id)).dueAt, dueAt)
})

t.test('a repeat is answered without the hold that cannot be read', async (t) => {
  const { request, at, databaseUrl } = await startScene(t)
  const body = { dueAt: at(60_000), holdUntil: at(120_000) }
  const send = (headers = {}) =>
    request('POST', '/v1/rooms/the-room/end', { body, headers: { 'idempotency-key': 'k', ...headers } })
  const first = (await send()).json()
  t.match(first, { holdFrom: at(60_000), holdUntil: at(120_000) }, 'as it was asked for')
  without(databaseUrl, 'holds')
  const again = await send()
  t.equal(again.statusCode, 202, again.body)
  const { holdFrom: _, holdUntil: __, ...rest } = first
  t.same(again.json(), rest)
  without(databaseUrl, 'holds', 'back')
  t.same((await send()).json(), first)
})

t.test('what is over is said with how', async (t) => {
  const { request, finished } = await startScene(t)
  const details = {
    cancelled: 'it was cancelled',
    ended: 'it has ended: ended',
    failed: 'it has failed: session_not_found; POST …/retry tries it again',
  } as const
  for (const state of ['cancelled', 'ended', 'failed'] as const) {
    const { id } = await finished(state)
    const answer = await request('POST', `/v1/endings/${id}/cancel`)
    t.equal(answer.statusCode, 409)
    t.match(answer.json(), { type: 'urn:curfew:problem:not-pending', detail: details[state] })
  }
})
