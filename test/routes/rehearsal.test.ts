import t from 'tap'
import { onEveryEngine } from '../helper/engines.ts'
import { type Asked, end, isTrue, rehearse, startRehearsal } from './rehearsing.ts'
import { HOUR } from './scene.ts'

onEveryEngine(t, 'asking for an end', async (t, databaseUrl) => {
  const stage = await startRehearsal(t, databaseUrl)
  const { live, at, sandbox, now, ask } = stage
  const one = live()
  await isTrue(t, stage, end(`/v1/sessions/${one.id}/end`), { ends: [one.id] })
  await isTrue(
    t,
    stage,
    { url: `/v1/sessions/${live().id}/end` },
    { ends: [sandbox.sessions.at(-1)?.id as string] },
  )
  await isTrue(
    t,
    stage,
    end(`/v1/sessions/${live().id}/end`, { dueAt: at(HOUR), reason: 'later', metadata: { a: [1] } }),
  )

  const two = live()
  const beside = sandbox.startSession({ room: two.room.id, startTime: now - 5 })
  sandbox.startSession({ room: two.room.id, startTime: now + 60_000 })
  const both = { ends: [two.id, beside.id], lookUps: 1 }
  await isTrue(
    t,
    stage,
    end(`/v1/rooms/${two.room.friendlyUrl}/end`, { urgent: true, warnMinutes: [5] }),
    both,
  )
  const three = live()
  await isTrue(t, stage, end(`/v1/rooms/${three.room.id}/end`, { dueAt: at(-2 * HOUR) }), { lookUps: 1 })
  await isTrue(t, stage, end(`/v1/rooms/${three.room.id}/end`, { dueAt: at(HOUR), holdUntil: at(2 * HOUR) }))
  await isTrue(t, stage, end(`/v1/rooms/${sandbox.createRoom().id}/end`), { lookUps: 1 })
  const unknown = { lookUps: 1, why: /knows no room no-such-room/ }
  await isTrue(t, stage, end('/v1/rooms/no-such-room/end'), unknown)

  const target = { roomExternalId: three.room.externalId }
  await isTrue(t, stage, end('/v1/endings', { target }), { ends: [three.id], lookUps: 1 })
  await isTrue(t, stage, end('/v1/endings', { target: { session: live().id }, dueAt: at(HOUR), key: 'k' }))
  const { id } = await ask({ key: 'mine', target: { room: 'the-room' }, holdUntil: at(3 * HOUR) })
  const four = live()
  const replacing = end('/v1/endings', { target: { session: four.id }, key: 'mine' })
  await isTrue(t, stage, replacing, { ends: [four.id], known: [id] })
})

onEveryEngine(t, 'an Idempotency-Key is not remembered, and one that is counts', async (t, databaseUrl) => {
  const stage = await startRehearsal(t, databaseUrl)
  const headers = { 'idempotency-key': 'once' }
  const asked = end(`/v1/sessions/${stage.live().id}/end`, {}, { headers })
  const { id } = await isTrue(t, stage, asked, { ends: [stage.sandbox.sessions.at(-1)?.id as string] })
  const again = await rehearse(t, stage, asked)
  t.equal(again.statusCode, 200)
  t.equal(again.headers['idempotency-replayed'], 'true')
  t.match(again.json(), { id, state: 'ended', dryRun: true, wouldEnd: [] })
  const other = await rehearse(t, stage, { ...asked, body: { reason: 'another' } })
  t.match(other.json(), { status: 422, type: /idempotency-mismatch$/ })
})

onEveryEngine(t, 'nobody waits for what will not come', async (t, databaseUrl) => {
  const stage = await startRehearsal(t, databaseUrl)
  const headers = { prefer: 'wait=30' }
  const { headers: told, ...answer } = await rehearse(
    t,
    stage,
    end(`/v1/sessions/${stage.live().id}/end`, {}, { headers }),
  )
  t.match(answer.json(), { state: 'pending', dryRun: true })
  t.equal(told['preference-applied'], undefined)
  t.equal(told.location, undefined, 'there is nothing at any address')
})

onEveryEngine(t, 'changing an ending', async (t, databaseUrl) => {
  const stage = await startRehearsal(t, databaseUrl)
  const { ask, at, live, finished, request } = stage
  const move = async (body: object, more: object = {}): Promise<[string, Asked]> => {
    const { id } = await ask(more)
    return [id, { method: 'PATCH', url: `/v1/endings/${id}`, body }]
  }
  // The session of such an ending is looked up for `inForce`, which is no call but a look-up.
  for (const body of [{ dueAt: at(2 * HOUR) }, { extendMinutes: 10 }]) {
    const [known, asked] = await move(body, { target: { room: 'the-room' } })
    await isTrue(t, stage, asked, { known: [known] })
  }
  const { id: session } = live()
  const [known, asked] = await move({ dueAt: at(-1000) }, { target: { session } })
  await isTrue(t, stage, asked, { known: [known], ends: [session], lookUps: 1 })
  const held = { target: { room: 'held-room' }, holdUntil: at(3 * HOUR) }
  const [heldId, later] = await move({ dueAt: at(2 * HOUR) }, held)
  const moved = await isTrue(t, stage, later, { known: [heldId] })
  t.match(moved.inForce, { ending: heldId, dueAt: at(2 * HOUR) })

  const { id } = await ask(held)
  await isTrue(t, stage, end(`/v1/endings/${id}/cancel`), { known: [id] })
  const other = (await ask()).id
  await isTrue(t, stage, { url: `/v1/endings/${other}/cancel`, as: 'ops' }, { known: [other] })
  const failed = await finished('failed', { key: 'again' })
  const retry = end(`/v1/endings/${failed.id}/retry`)
  const target = failed.target.session as string
  await isTrue(t, stage, retry, { known: [failed.id], ends: [target] })
  t.equal(
    (await request('GET', `/v1/endings/${failed.id}`)).json().state,
    'failed',
    'tried again, and failed again',
  )
})
