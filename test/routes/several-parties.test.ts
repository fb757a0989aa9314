import t from 'tap'
import { noteChange } from '../../src/storage/time-limits/rule-changes.ts'
import { deleteRule } from '../../src/storage/time-limits/rules.ts'
import { freshUrl, onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { tellNoTime } from '../simulation/simulate.ts'
import { startSweeping } from '../worker/sweeping.ts'

onEveryEngine(
  t,
  'every hold in force is heard, whoever takes its own back',
  async (t, databaseUrl, engine) => {
    if (engine === 'postgres') await tellNoTime(databaseUrl)
    // One call at a time, so that the first one's 429 is all that becomes of both.
    const env = { SHUTDOWN_GRACE: '0s', MAX_CONCURRENT_CALLS: '1' }
    const service = await startSweeping(t, { databaseUrl, env })
    const { request, sandbox, app } = service
    const now = app.ledger.clock.now()
    const at = (ms: number) => new Date(now + ms).toISOString()
    const room = sandbox.createRoom({ friendlyUrl: 'closed' })
    const closing = { target: { room: 'closed' }, dueAt: at(-1000), holdUntil: at(3_600_000) }
    const long = { ...closing, holdFrom: '2001-01-01T00:00:00Z' }
    await request('POST', '/v1/endings', { as: 'billing', body: long })
    await request('POST', '/v1/endings', { body: { ...closing, target: { room: room.id } } })
    await until(async () => (await app.ledger.backlog()).pending === 0)

    sandbox.inject({ kind: 'status', status: 429, headers: { 'retry-after': '60' }, operation: 'end' })
    const session = sandbox.startSession({ room: room.id, startTime: now })
    await service.clock.advance(30_000)
    const held = async () =>
      (await app.ledger.list({ session: session.id, state: 'pending' }, 10)).map((row) => row)
    const rows = await until(async () => ((await held()).length === 2 ? held() : undefined))
    t.same(rows.map((row) => row.requested_by).sort(), ['billing', 'booking'])
    await until(async () => app.gate.status().state === 'rate_limited' && (await held()).every(isFree))
    const theirs = rows.find((row) => row.requested_by === 'billing')
    const cancelled = await request('POST', `/v1/endings/${theirs?.id}/cancel`, { as: 'billing' })
    t.equal(cancelled.statusCode, 200)
    await service.clock.advance(61_000)
    await until(() => !session.live)
    const ours = rows.find((row) => row.requested_by === 'booking')?.id as string
    await until(async () => (await app.ledger.find(ours))?.state !== 'pending')
    t.match(await app.ledger.find(ours), { state: 'ended', outcome: 'ended' })
  },
)

const isFree = ({ claimed_until }: { claimed_until: number | null }) => claimed_until === null

t.test('a room that is opened again throws nobody out', async (t) => {
  const service = await startSweeping(t)
  const { request, sandbox, app, clock } = service
  const at = (ms: number) => new Date(clock.now() + ms).toISOString()
  const room = sandbox.createRoom({ friendlyUrl: 'closed' })
  await request('POST', '/v1/endings', { body: { target: { room: 'closed' }, holdUntil: at(3_600_000) } })
  await until(async () => (await app.ledger.backlog()).pending === 0)
  sandbox.inject({ kind: 'status', status: 429, headers: { 'retry-after': '60' }, operation: 'end' })
  const session = sandbox.startSession({ room: room.id })
  await clock.advance(30_000)
  const [ending] = await until(async () => {
    const rows = await app.ledger.list({ session: session.id, state: 'pending' }, 10)
    return app.gate.status().state === 'rate_limited' && rows.length === 1 && rows.every(isFree)
      ? rows
      : undefined
  })
  const [hold] = (await request('GET', '/v1/holds')).json().data
  t.equal((await request('DELETE', `/v1/holds/${hold.id}`)).statusCode, 200)
  t.match(await service.ending(ending?.id ?? ''), { state: 'cancelled' })
  await clock.advance(61_000)
  t.equal(session.live, true)
})

t.test(
  'what a rule’s change means is carried through by the next process, whoever was interrupted',
  async (t) => {
    const databaseUrl = await freshUrl(t, 'sqlite')
    const first = await startSweeping(t, { databaseUrl })
    const { sandbox, clock } = first
    const room = sandbox.createRoom({ friendlyUrl: 'limited' }).id
    const sessions = Array.from({ length: 250 }, () => sandbox.startSession({ room }))
    await first.request('PUT', '/v1/time-limits/limited', { body: { maxMinutes: 60 } })
    await until(async () => (await first.app.ledger.backlog()).pending === sessions.length)
    // What a DELETE has committed when its process dies before the first page.
    await first.app.ledger.write(async (trx, now) => {
      await deleteRule(trx, 'limited', { name: 'booking', operator: false })
      await noteChange(trx, 'limited', now)
    })
    await first.close()
    const second = await startSweeping(t, { databaseUrl, sandbox, clock })
    await until(async () => (await second.app.ledger.backlog()).pending === 0)
    await clock.advance(2 * 3_600_000)
    t.equal(sessions.filter(({ live }) => live).length, sessions.length, 'nobody asks for their end any more')
  },
)
