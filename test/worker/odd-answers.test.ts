import t from 'tap'
import type { Session } from '../../src/sandbox/sandbox.ts'
import { onEveryEngine } from '../helper/engines.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { startService, until } from '../helper/service.ts'

/** A session as a list of Digital Samba tells it. */
function listed({ id, startTime, room }: Session, more: object = {}) {
  return {
    id,
    start_time: new Date(startTime).toISOString(),
    end_time: null,
    room_id: room.id,
    room_external_id: room.externalId,
    friendly_url: room.friendlyUrl,
    participants_live: 1,
    live: true,
    ...more,
  }
}

const always = { kind: 'status', status: 200, times: Number.POSITIVE_INFINITY } as const

onEveryEngine(
  t,
  'one odd session in a list stops no time limit, no hold and no ending of another',
  async (t, databaseUrl) => {
    const lines: Array<Record<string, unknown>> = []
    const service = await startService(t, {
      databaseUrl,
      env: { SWEEP_INTERVAL: '1s' },
      onLog: (line) => void lines.push(line),
    })
    const { sandbox, request, app } = service
    const rooms = ['limited', 'held', 'external', 'odd'].map((name) =>
      sandbox.createRoom({ friendlyUrl: name, externalId: `id-of-${name}` }),
    )
    await request('POST', '/v1/rooms/held/end', {
      body: { holdUntil: new Date(Date.now() + 3_600_000).toISOString() },
    })
    await until(async () => (await app.ledger.backlog()).pending === 0)
    const [limited, held, external, odd] = rooms.map(({ id }) => sandbox.startSession({ room: id }))
    if (!limited || !held || !external || !odd) throw new Error('four rooms')
    const body = {
      data: [
        listed(odd, { start_time: null }),
        listed(odd, { id: undefined }),
        listed(odd, { id: `a\u0000${odd.id}` }),
        listed(limited),
        listed(limited),
        listed(held, { room_external_id: 'nul\u0000' }),
        listed(external, { friendly_url: 'x'.repeat(5000) }),
      ],
    }
    sandbox.inject({ ...always, operation: 'sessions', body })
    await request('PUT', '/v1/time-limits/limited', { body: { maxMinutes: 60 } })
    await request('POST', '/v1/endings', { body: { target: { roomExternalId: 'id-of-external' } } })
    await until(() => !held.live && !external.live)
    await until(async () => (await app.ledger.backlog()).pending === 1)
    t.match((await request('GET', `/v1/sessions/${limited.id}`)).json(), {
      live: true,
      inForce: { reason: 'time_limit' },
    })
    t.match((await request('GET', '/v1/sessions?live=true')).json().data, { length: 4 })
    await until(() => sandbox.calls.filter(({ operation }) => operation === 'sessions').length > 5)
    const said = lines.filter(({ msg }) => msg === 'calls.odd_sessions')
    t.match(said, [{ nameless: 2, withoutStart: [odd.id] }], 'said once')
    t.equal(said.length, 1)
    t.same(
      lines.filter(({ level }) => Number(level) >= 50),
      [],
    )
  },
)

onEveryEngine(
  t,
  'a session whose start the list does not tell is asked itself, and ended if it is meant',
  async (t, databaseUrl) => {
    const { sandbox, request, ending } = await startService(t, { databaseUrl })
    const room = sandbox.createRoom({ friendlyUrl: 'the-room', externalId: 'the-id' })
    const session = sandbox.startSession({ room: room.id })
    const body = { data: [listed(session, { start_time: null })] }
    sandbox.inject({ ...always, operation: 'room-sessions', body })
    sandbox.inject({ ...always, operation: 'sessions', body })
    const past = new Date(Date.now() - 3_600_000).toISOString()
    const early = await request('POST', '/v1/rooms/the-room/end', {
      body: { dueAt: past },
      headers: { prefer: 'wait=10' },
    })
    t.match(early.json(), { state: 'ended', outcome: 'nothing_live' }, 'it began after that')
    const { id } = (
      await request('POST', '/v1/endings', { body: { target: { roomExternalId: 'the-id' } } })
    ).json()
    await until(async () => (await ending(id)).state === 'ended')
    t.equal(session.live, false)
  },
)

onEveryEngine(
  t,
  'a NUL in what Digital Samba says loses no call, and no claim waits for its lease',
  async (t, databaseUrl) => {
    const { sandbox, request, ending, app } = await startService(t, { databaseUrl })
    const session = sandbox.startSession({ room: sandbox.createRoom().id })
    const message = 'a\u0000b\ud800 \u009b31m'
    sandbox.inject({ kind: 'status', status: 500, body: { message } })
    const { id } = (await request('POST', `/v1/sessions/${session.id}/end`)).json()
    await until(async () => (await ending(id)).attempt === 1)
    t.equal((await app.ledger.find(id))?.claimed_until, null)
    t.match(await ending(id), { attempts: [{ status: 500, error: 'answered 500: a b\ufffd 31m' }] })
    await until(() => !session.live)
  },
)

t.test('a list without end makes no other ending late', async (t) => {
  const clock = new ManualClock()
  const { sandbox, request, ending } = await startService(t, { clock, env: { MAX_CONCURRENT_CALLS: '2' } })
  const room = sandbox.createRoom({ friendlyUrl: 'endless' })
  const session = sandbox.startSession({ room: room.id })
  const data = Array.from({ length: 100 }, () => listed(session))
  let page = 0
  sandbox.onCall(({ operation }) => {
    if (operation !== 'room-sessions') return
    page += 1
    const name = (i: number) => `00000000-0000-4000-8000-${String(page * 100 + i).padStart(12, '0')}`
    sandbox.clearFaults()
    sandbox.inject({ ...always, operation, body: { data: data.map((one, i) => ({ ...one, id: name(i) })) } })
  })
  sandbox.inject({ ...always, operation: 'room-sessions', body: { data } })
  const { id } = (await request('POST', '/v1/rooms/endless/end')).json()
  await until(async () => (await ending(id)).attempt === 1)
  const listings = () => sandbox.calls.filter(({ operation }) => operation === 'room-sessions').length
  t.ok(listings() <= 10, `${listings()} pages`)
  const other = sandbox.startSession({ room: sandbox.createRoom().id })
  await request('POST', `/v1/sessions/${other.id}/end`)
  await until(() => !other.live)
  t.match(await ending(id), { state: 'pending' })
  t.match((await request('GET', '/status')).json(), { calls: { state: 'ok' } })
})
