import { randomUUID } from 'node:crypto'
import t from 'tap'
import { onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { isProblem } from './problems.ts'
import { HOUR, startScene } from './scene.ts'

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const JSON_TYPE = { 'content-type': 'application/json' }

onEveryEngine(
  t,
  'an ending is accepted with all its fields, and read back the same',
  async (t, databaseUrl) => {
    const { request, at, sandbox } = await startScene(t, { databaseUrl })
    const session = randomUUID()
    const given = {
      target: { session },
      dueAt: at(HOUR),
      reason: 'booking_cancelled',
      key: 'booking:8731',
      urgent: true,
      metadata: { ticket: 'A-1' },
    }
    const answer = await request('POST', '/v1/endings', { body: given })
    const { id, ...rest } = answer.json()
    t.equal(answer.statusCode, 202)
    t.match(answer.headers['content-type'], /^application\/json/)
    t.match(id, ID, 'a UUIDv7')
    t.equal(answer.headers.location, `/v1/endings/${id}`)
    t.equal(answer.headers['preference-applied'], undefined)
    t.equal(answer.headers['idempotency-replayed'], undefined)
    t.same(rest, {
      ...given,
      state: 'pending',
      requestedBy: 'booking',
      subject: null,
      attempt: 0,
      nextAttemptAt: at(HOUR),
      outcome: null,
      failure: null,
      createdAt: at(0),
      finishedAt: null,
      confirmedAt: null,
      lastError: null,
    })
    const read = await request('GET', answer.headers.location as string)
    t.equal(read.statusCode, 200)
    t.same(read.json(), { id, ...rest, attempts: [], changes: [] })
    t.same(
      (await request('GET', `/v1/endings/${id.toUpperCase()}`)).json().id,
      id,
      'whatever the case of the id',
    )
    t.same(sandbox.calls, [], 'nothing is called before it is due')
  },
)

onEveryEngine(t, 'no body at all is an ending due now, with the defaults', async (t, databaseUrl) => {
  const { request, at } = await startScene(t, { databaseUrl })
  for (const headers of [{}, JSON_TYPE, { 'content-length': '0' }, { ...JSON_TYPE, 'content-length': '0' }])
    for (const url of [`/v1/sessions/${randomUUID()}/end`, '/v1/rooms/abc/end']) {
      const answer = await request('POST', url, { headers })
      t.equal(answer.statusCode, 202, `${url} ${JSON.stringify(headers)}`)
      t.match(answer.json(), {
        dueAt: at(0),
        nextAttemptAt: at(0),
        reason: 'requested',
        key: null,
        urgent: false,
      })
      t.same(answer.json().metadata, {})
    }
})

onEveryEngine(t, 'every kind of target is ended', async (t, databaseUrl) => {
  const { request, sandbox, ending } = await startScene(t, { databaseUrl })
  const room = sandbox.createRoom({ friendlyUrl: 'the-room', externalId: 'Räume/1 ✓' })
  const targets = (session: string) =>
    [
      ['/v1/endings', { session }, { session }],
      [`/v1/sessions/${session}/end`, undefined, { session }],
      [`/v1/sessions/${session.toUpperCase()}/end`, undefined, { session }],
      ['/v1/endings', { room: room.id }, { room: room.id }],
      ['/v1/endings', { room: room.id.toUpperCase() }, { room: room.id }],
      [`/v1/rooms/${room.id}/end`, undefined, { room: room.id }],
      ['/v1/endings', { room: 'the-room' }, { room: 'the-room' }],
      ['/v1/rooms/the-room/end', undefined, { room: 'the-room' }],
      ['/v1/endings', { roomExternalId: 'Räume/1 ✓' }, { roomExternalId: 'Räume/1 ✓' }],
    ] as const
  for (const index of targets('').keys()) {
    const session = sandbox.startSession({ room: room.id })
    const [url, target, shown] = targets(session.id)[index] as ReturnType<typeof targets>[number]
    const answer = await request('POST', url, target ? { body: { target } } : {})
    t.equal(answer.statusCode, 202)
    t.same(answer.json().target, shown)
    const { id } = answer.json()
    await until(async () => (await ending(id)).state !== 'pending')
    const { attempts, ...over } = await ending(id)
    t.match(over, {
      state: 'ended',
      outcome: 'ended',
      failure: null,
      nextAttemptAt: null,
      attempt: 1,
      finishedAt: String,
    })
    t.match(attempts, [{ attempt: 1, session: session.id, status: 200, result: 'ended', error: null }])
    t.equal(session.live, false)
  }
})

onEveryEngine(
  t,
  'due times: past is at once, any offset, to the millisecond, at most a year',
  async (t, databaseUrl) => {
    const { ask, at, now } = await startScene(t, { databaseUrl })
    const yearAhead = new Date(now)
    yearAhead.setUTCFullYear(yearAhead.getUTCFullYear() + 1)
    const local = (ms: number, hours: number, suffix: string) => at(ms + hours * HOUR).replace('Z', suffix)
    const cases: [dueAt: string, shown: string][] = [
      [at(-7 * 24 * HOUR), at(-7 * 24 * HOUR)],
      [at(-1), at(-1)],
      [at(0), at(0)],
      [at(1), at(1)],
      [local(HOUR, 2, '+02:00'), at(HOUR)],
      [local(HOUR, -8, '-08:00'), at(HOUR)],
      [local(HOUR, 0, '-00:00'), at(HOUR)],
      [at(HOUR).toLowerCase(), at(HOUR)],
      [at(HOUR).replace('Z', '999999Z'), at(HOUR)],
      [yearAhead.toISOString(), yearAhead.toISOString()],
    ]
    for (const [dueAt, shown] of cases)
      t.match(await ask({ dueAt }), { dueAt: shown, nextAttemptAt: [shown, at(0)].sort()[1] }, dueAt)
  },
)

const FULL = { a: 'x'.repeat(4096 - 8) }
const METADATA: [what: string, metadata: object][] = [
  ['empty', {}],
  ['Unicode', { ключ: 'värde 💥', 日本: '\u2028 \u0000 \u001f "\\/' }],
  ['half a surrogate', { half: '\ud800' }],
  ['nested', { a: [1, [2, { b: null, c: [true, false] }]], '': { '': '' } }],
  ['numbers', { small: -0.5, large: 9_007_199_254_740_991, tiny: 5e-324, huge: 1.7976931348623157e308 }],
  [
    'names that mean something to programs',
    { constructor: 1, toString: 2, hasOwnProperty: null, length: -1 },
  ],
  ['names that look like indices', { 2: 'b', 1: 'a', 10: 'c' }],
  ['a hundred levels', JSON.parse(`${'{"a":'.repeat(100)}1${'}'.repeat(100)}`)],
  ['exactly 4 KiB', FULL],
]

onEveryEngine(t, 'metadata and texts come back as they came', async (t, databaseUrl) => {
  const { ask, ending } = await startScene(t, { databaseUrl })
  t.equal(JSON.stringify(FULL).length, 4096)
  for (const [what, metadata] of METADATA) {
    const asked = await ask({ metadata })
    t.equal(JSON.stringify(asked.metadata), JSON.stringify(metadata), what)
    t.equal(JSON.stringify((await ending(asked.id)).metadata), JSON.stringify(metadata), `${what}, read back`)
  }
  for (const key of ['k', 'ü', '💥'.repeat(200), "'; drop table endings; --", ' a%b_c\\ ', '\u2028'])
    t.equal((await ask({ key })).key, key)
})

onEveryEngine(
  t,
  'a key replaces the pending ending of the same caller, under its id',
  async (t, databaseUrl) => {
    const scene = await startScene(t, { databaseUrl })
    const { ask, at, request, finished, underway, ending } = scene
    const first = await ask({ key: 'k', reason: 'one', metadata: { a: 1 }, urgent: true })
    const anew = {
      target: { room: 'abc' },
      dueAt: at(2 * HOUR),
      reason: 'two',
      metadata: { b: 2 },
      urgent: false,
    }
    const second = await ask({ key: 'k', ...anew })
    t.same(second, { ...first, ...anew, nextAttemptAt: anew.dueAt })
    const { changes, ...rest } = await ending(first.id)
    t.same(rest, { ...second, attempts: [] })
    t.match(changes, [{ change: 'replaced', from: { reason: 'one' }, to: { reason: 'two' } }])
    t.not((await ask({ key: 'K' })).id, first.id, 'keys have case')
    t.not((await ask({ key: 'k' }, { as: 'billing' })).id, first.id, 'keys are per caller')
    t.not((await ask({ key: 'k' }, { as: 'ops' })).id, first.id, 'for operators too')
    t.same(await ending(first.id), { ...second, attempts: [], changes })
    t.equal((await request('GET', '/v1/endings?key=k')).json().data.length, 3)

    for (const state of ['ended', 'failed', 'cancelled'] as const) {
      const before = await finished(state, { key: state })
      const after = await ask({ key: state })
      t.not(after.id, before.id, `one that is ${state} is not replaced`)
      t.same(await ending(before.id), await ending(before.id))
      t.equal((await ending(before.id)).state, state)
    }
    const busy = await underway({ key: 'busy' })
    const body = { target: { room: 'abc' }, key: 'busy' }
    const answer = await scene.inTime(request('POST', '/v1/endings', { body }))
    isProblem(t, answer, 409, 'in-progress')
    t.same((await ending(busy.id)).target, busy.target, 'one that is being carried out is not touched')
  },
)
