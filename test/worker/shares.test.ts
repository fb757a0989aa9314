import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { CallBudget } from '../../src/calls/budget.ts'
import { type Permit, type Priority, RANK, WINDOW_MS } from '../../src/calls/permits.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { budgetInMemory } from '../helper/permits.ts'
import { startService, until } from '../helper/service.ts'

const NEVER = new AbortController().signal

/** Asks for `count` permits of a rank and spends those that are given at once. */
async function burst(budget: CallBudget, rank: Priority['rank'], count: number): Promise<number> {
  let given = 0
  const stop = new AbortController()
  for (let i = 0; i < count; i += 1)
    void budget.take({ rank, at: 0 }, stop.signal).then((permit: Permit | undefined) => {
      if (permit) given += 1
      permit?.spend()
    })
  await new Promise((resolve) => setImmediate(resolve))
  stop.abort()
  return given
}

t.test('what is no end may use a tenth of the calls, and ends have the rest', async (t) => {
  const clock = new ManualClock(0)
  const budget = budgetInMemory(clock, { perMinute: 900, urgentPerMinute: 945 })
  t.equal(await burst(budget, RANK.sweep, 500), 72, 'sweeps a part of the tenth')
  t.equal(await burst(budget, RANK.warning, 500), 18, 'people and warnings the rest of it')
  t.equal(await burst(budget, RANK.confirmation, 500), 225 - 90, 'confirmations while the minute is quiet')
  t.equal(await burst(budget, RANK.ending, 2000), 900 - 225)
  t.equal(await burst(budget, RANK.warning, 1), 0)
  t.equal(await burst(budget, RANK.urgent, 2000), 45, 'urgent ones have a few of their own')
  await clock.advance(WINDOW_MS)
  t.equal(await burst(budget, RANK.warning, 500), 90)
  t.equal(await burst(budget, RANK.ending, 2000), 810)
})

t.test('a permit that only urgent ones may use says so', async (t) => {
  const clock = new ManualClock(0)
  const budget = budgetInMemory(clock, { perMinute: 1, urgentPerMinute: 2 })
  const first = await budget.take({ rank: RANK.urgent, at: 0 }, NEVER)
  t.equal(first?.forUrgentOnly, false)
  t.equal((await budget.take({ rank: RANK.urgent, at: 0 }, NEVER))?.forUrgentOnly, true)
  t.equal(budget.takeAtOnce(), undefined)
})

t.test('900 look-ups of sessions that nobody knows keep no ending waiting', async (t) => {
  const clock = new ManualClock()
  const { sandbox, request, app } = await startService(t, { clock })
  const looks = Array.from({ length: 900 }, () => request('GET', `/v1/sessions/${randomUUID()}`))
  await until(() => sandbox.calls.length >= 90)
  const { id } = sandbox.startSession({ room: sandbox.createRoom().id })
  const body = { urgent: true }
  await request('POST', `/v1/sessions/${id}/end`, { body, headers: { prefer: 'wait=10' } })
  const others = Array.from({ length: 500 }, () => sandbox.startSession({ room: sandbox.createRoom().id }))
  await Promise.all(others.map((session) => request('POST', `/v1/sessions/${session.id}/end`)))
  await until(async () => (await app.ledger.backlog()).pending === 0)
  t.same(sandbox.liveSessions(), [], 'all without a moment’s delay')
  const made = sandbox.calls.filter(({ operation }) => operation === 'session').length
  t.equal(made, 90, 'look-ups for people have used their tenth')
  const answers = await Promise.all(looks)
  // On a slow machine some are answered too late for those who asked.
  t.ok(answers.filter(({ statusCode }) => statusCode === 404).length <= 90)
  t.match(answers.find(({ statusCode }) => statusCode !== 404)?.json(), {
    type: 'urn:curfew:problem:upstream-unavailable',
    status: 503,
  })
})

t.test('what was looked up is remembered for some seconds, by whoever asks', async (t) => {
  const clock = new ManualClock()
  const { sandbox, request } = await startService(t, { clock })
  const { id } = sandbox.startSession({ room: sandbox.createRoom().id })
  const look = (as: 'booking' | 'billing') => request('GET', `/v1/sessions/${id}`, { as })
  await Promise.all([...Array(20)].map((_, i) => look(i % 2 ? 'booking' : 'billing')))
  const list = await Promise.all([...Array(20)].map(() => request('GET', '/v1/sessions?live=true')))
  t.ok(list.every((answer) => answer.json().data.length === 1))
  t.equal(sandbox.calls.length, 2)
  await request('POST', `/v1/sessions/${id}/end`, { headers: { prefer: 'wait=10' } })
  t.match((await look('booking')).json(), { live: false }, 'what ends it is heard at once')
  await clock.advance(3000)
  const before = sandbox.calls.length
  await look('booking')
  await request('GET', `/v1/sessions/${randomUUID()}`)
  t.equal(sandbox.calls.length, before + 2)
})

t.test('an urgent ending is called at once, also when a crowd has spent the minute', async (t) => {
  const clock = new ManualClock()
  const env = { CALLS_PER_MINUTE: '100', MAX_CONCURRENT_CALLS: '5' }
  const { sandbox, request, app } = await startService(t, { clock, env })
  const session = () => sandbox.startSession({ room: sandbox.createRoom().id }).id
  const crowd = Array.from({ length: 300 }, session)
  await Promise.all(crowd.map((id) => request('POST', `/v1/sessions/${id}/end`)))
  await until(async () => (await app.ledger.backlog()).pending === 200)
  const urgent = session()
  await request('POST', `/v1/sessions/${urgent}/end`, { body: { urgent: true } })
  await until(() => sandbox.session(urgent)?.live === false)
  t.equal(clock.now(), Date.parse('2026-11-23T12:00:00Z'))
  t.equal(sandbox.calls.length, 101)
  await clock.advance(WINDOW_MS)
  await until(async () => (await app.ledger.backlog()).pending < 110)
})

t.test('an urgent ending takes the place of one that waits for the budget', async (t) => {
  const clock = new ManualClock()
  const env = { CALLS_PER_MINUTE: '12', URGENT_CALLS_PER_MINUTE: '14', MAX_CONCURRENT_CALLS: '3' }
  const { sandbox, request, app } = await startService(t, { clock, env })
  const rooms = Array.from({ length: 12 }, () => sandbox.createRoom().id)
  for (const room of rooms) sandbox.startSession({ room })
  // Each lists its room first, and then finds no call left for the end: every slot waits for the budget.
  await Promise.all(rooms.map((room) => request('POST', `/v1/rooms/${room}/end`)))
  await until(() => sandbox.calls.length === 12)
  const claimed = async () =>
    (await app.ledger.list({ state: 'pending' }, 100)).filter((row) => row.claimed_until !== null).length
  const { id } = sandbox.startSession({ room: sandbox.createRoom().id })
  await request('POST', `/v1/sessions/${id}/end`, { body: { urgent: true } })
  if ((await claimed()) === 3) await clock.advance(1000)
  await until(() => sandbox.session(id)?.live === false)
  t.equal(sandbox.calls.length, 13)
})

t.test('a thousand webhooks at once are answered by a sweep, not by a call each', async (t) => {
  const clock = new ManualClock()
  const env = { DIGITAL_SAMBA_WEBHOOK_SECRET: 'a-secret-of-webhooks', DEFAULT_TIME_LIMIT: '60m' }
  const { sandbox, request, app } = await startService(t, { clock, env })
  await until(() => sandbox.calls.length === 1)
  const { id: room } = sandbox.createRoom()
  const sessions = Array.from({ length: 1000 }, () => sandbox.startSession({ room }).id)
  const tell = (sessionId: string) =>
    request('POST', '/v1/webhooks/digital-samba', {
      as: null,
      headers: { authorization: 'a-secret-of-webhooks' },
      body: { eventType: 'session_started', sessionId, roomId: room },
    })
  const answers = await Promise.all(sessions.map(tell))
  t.ok(answers.every(({ statusCode }) => statusCode === 204))
  await until(async () => (await app.ledger.backlog()).pending === 1000)
  const calls = sandbox.calls.length
  t.ok(calls <= 1 + 20 + 2 * 11, `${calls} calls for a thousand sessions`)
})
