import { randomUUID } from 'node:crypto'
import t from 'tap'
import { onEveryEngine } from '../helper/engines.ts'
import { isProblem } from './problems.ts'
import { HOUR, startScene } from './scene.ts'

onEveryEngine(t, 'what is live is listed page by page, with what will end it', async (t, databaseUrl) => {
  const { request, sandbox, ask, at } = await startScene(t, { databaseUrl })
  const room = sandbox.createRoom({ friendlyUrl: 'room', externalId: 'ext' }).id
  const sessions = Array.from({ length: 230 }, () => sandbox.startSession({ room: sandbox.createRoom().id }))
  const limited = sandbox.startSession({ room })
  sandbox.endSession(sessions.pop()?.id as string)
  const far = await ask({ target: { session: limited.id }, dueAt: at(2 * HOUR) })
  const near = await ask({ target: { roomExternalId: 'ext' }, dueAt: at(HOUR) }, { as: 'billing' })
  const pages = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const answer = await request('GET', `/v1/sessions?live=true${cursor === '' ? '' : `&cursor=${cursor}`}`)
    pages.push(answer.json().data)
    cursor = answer.json().nextCursor
  }
  t.same(
    pages.map(({ length }) => length),
    [100, 100, 30],
  )
  t.same(
    pages.flat().map(({ id }) => id),
    [...sessions, limited].map(({ id }) => id),
  )
  t.equal(pages.flat().filter(({ inForce }) => inForce !== null).length, 1)
  t.same(pages.flat().at(-1), {
    id: limited.id,
    room: { id: room, friendlyUrl: 'room', externalId: 'ext' },
    startedAt: new Date(Math.floor(limited.startTime / 1000) * 1000).toISOString(),
    participants: 1,
    inForce: { ending: near.id, dueAt: at(HOUR), requestedBy: 'billing', reason: 'requested' },
  })
  await request('POST', `/v1/endings/${near.id}/cancel`, { as: 'billing' })
  const again = (await request('GET', `/v1/sessions?cursor=${sessions.at(-1)?.id}`)).json()
  t.match(again, { data: [{ id: limited.id, inForce: { ending: far.id } }], nextCursor: null })

  isProblem(t, await request('GET', `/v1/sessions?cursor=${randomUUID()}`), 404, 'not-found')
  for (const [query, pointer] of [
    ['live=false', '/live'],
    ['cursor=abc', '/cursor'],
    ['room=abc', '/room'],
    ['limit=10', '/limit'],
  ])
    isProblem(t, await request('GET', `/v1/sessions?${query}`), 422, 'invalid', [pointer as string])
  isProblem(t, await request('GET', '/v1/sessions', { as: null }), 401, 'unauthorized')
  isProblem(t, await request('GET', '/v1/sessions/abc'), 422, 'invalid', ['/sessionId'])
})

t.test(
  'where Digital Samba cannot be asked, the list is a 503, and one session what the ledger knows',
  async (t) => {
    const { request, sandbox, ask, clock } = await startScene(t)
    const session = sandbox.startSession({ room: sandbox.createRoom().id })
    await ask({ target: { session: session.id } })
    const list = () => request('GET', '/v1/sessions?live=true')
    const refused = async (what: string) => {
      const answer = await list()
      isProblem(t, answer, 503, 'upstream-unavailable')
      t.equal(answer.headers['retry-after'], '5', what)
    }
    for (const fault of [
      { kind: 'status', status: 500 },
      { kind: 'html', status: 403 },
      { kind: 'not-json' },
      { kind: 'redirect' },
    ] as const) {
      sandbox.inject({ ...fault, operation: 'sessions' })
      await refused(fault.kind)
    }
    t.equal((await list()).json().data.length, 1)

    // What was told is remembered for so long.
    await clock.advance(2000)
    sandbox.setCredentials({ developerKey: 'rotated' })
    await refused('the credentials')
    const calls = sandbox.calls.length
    await refused('refused')
    t.match((await request('GET', `/v1/sessions/${session.id}`)).json(), {
      live: null,
      why: /^It will be ended/,
    })
    t.equal(sandbox.calls.length, calls, 'without a call')
    sandbox.setCredentials({ developerKey: 'sandbox-developer-key' })
    await clock.advance(60_000)
    t.equal((await list()).statusCode, 200)
    await clock.advance(2000)

    sandbox.inject({ kind: 'status', status: 429, headers: { 'retry-after': '60' }, operation: 'sessions' })
    await refused('too many calls')
    // Whoever asks waits a little; three seconds that no manual clock can shorten.
    const [one] = await Promise.all([request('GET', `/v1/sessions/${session.id}`), refused('paused')])
    t.match(one.json(), { live: null, why: /^It will be ended/ })
  },
)
