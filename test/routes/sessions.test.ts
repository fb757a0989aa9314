import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import type { NewRoom, Session } from '../../src/sandbox/sandbox.ts'
import { onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { isProblem } from './problems.ts'
import { HOUR, startScene } from './scene.ts'

async function startSessions(t: Test, databaseUrl: string) {
  const scene = await startScene(t, { databaseUrl })
  const { request, sandbox, ask, ending } = scene
  const live = (room: NewRoom = {}) => sandbox.startSession({ room: sandbox.createRoom(room).id })
  const view = async (id: string, query = '') =>
    (await request('GET', `/v1/sessions/${id}${query}`, { as: 'billing' })).json()
  const why = async ({ id }: Session) => (await view(id)).why
  const over = (id: string) => until(async () => (await ending(id)).state !== 'pending' && ending(id))
  /** An ending that is due now, once it is over. */
  const endNow = async (target: object) => over((await ask({ target, dueAt: scene.at(0), reason: 'why' })).id)
  const down = async () => {
    sandbox.inject({ kind: 'status', status: 500, operation: 'session', times: Number.POSITIVE_INFINITY })
    // Long enough for what was looked up to be looked up again.
    await scene.clock.advance(2000)
  }
  return { ...scene, live, view, why, endNow, down }
}

onEveryEngine(t, 'of a live session everything is told', async (t, databaseUrl) => {
  const { view, request, at, now, ask, sandbox, down } = await startSessions(t, databaseUrl)
  const { id: named } = sandbox.createRoom({ friendlyUrl: 'room', externalId: 'ext' })
  const session = sandbox.startSession({ room: named, startTime: now - 60_000 })
  sandbox.enter('room')
  const rule = { maxMinutes: 50, warnMinutes: [49, 10] }
  await request('PUT', '/v1/time-limits/room', { body: rule })
  const told = await until(
    async () => (await view(session.id)).endings?.[0]?.warnings?.[0]?.sentAt && view(session.id),
  )
  const hold = {
    target: { roomExternalId: 'ext' },
    dueAt: at(HOUR),
    holdUntil: at(2 * HOUR),
    reason: 'closing',
  }
  const room = (await request('POST', '/v1/endings', { body: hold, as: 'billing' })).json()
  await ask({ target: { room: 'elsewhere' }, holdUntil: at(2 * HOUR) })
  const [limit] = told.endings
  const startedAt = new Date(Math.floor(session.startTime / 1000) * 1000).toISOString()
  const found = await view(session.id.toUpperCase())
  t.match(found, {
    id: session.id,
    room: { id: session.room.id, friendlyUrl: 'room', externalId: 'ext' },
    startedAt,
    live: true,
    participants: 2,
    overAt: null,
    inForce: { ending: limit.id, dueAt: limit.dueAt, requestedBy: 'booking', reason: 'time_limit' },
    endedBy: null,
    why: `It will be ended at ${limit.dueAt} because booking asked for it (time_limit)`,
    rule: { room: 'room', requestedBy: 'booking', ...rule },
    holds: [{ ending: room.id, target: { roomExternalId: 'ext' }, requestedBy: 'billing' }],
    endings: [
      { id: room.id, holdUntil: at(2 * HOUR) },
      { id: limit.id, warnings: [{ minutes: 49 }] },
    ],
  })
  t.equal(Date.parse(limit.dueAt) - Date.parse(startedAt), 50 * 60_000)
  t.equal(found.holds.length, 1)
  await down()
  t.same(await view(session.id), { ...found, live: null, participants: null }, 'Digital Samba down')
  await request('POST', `/v1/endings/${limit.id}/cancel`)
  t.match(await view(session.id), {
    inForce: { ending: room.id },
    why: /because billing asked for it \(closing\)/,
  })
})

onEveryEngine(t, 'why it ended, or did not', async (t, databaseUrl) => {
  const { live, view, why, endNow, ask, at, sandbox, request, app, clock, down } = await startSessions(
    t,
    databaseUrl,
  )
  const ended = live()
  const { dueAt } = await endNow({ session: ended.id })
  const byItself = live()
  await ask({ target: { session: byItself.id } })
  sandbox.endSession(byItself.id)
  const failed = live()
  sandbox.inject({ kind: 'status', status: 400, session: failed.id, operation: 'end' })
  await endNow({ session: failed.id })
  const alone = live()
  const because = `It ended because booking asked for it (why), due at ${dueAt}.`
  const notEnded = 'It was not ended: what booking asked for (why) failed as rejected.'
  const itself = 'It ended by itself, or by somebody else: no ending here ended it.'
  t.equal(await why(ended), because)
  t.equal(await why(byItself), itself)
  t.match(await view(byItself.id), { live: false, inForce: null, endings: [{ state: 'pending' }] })
  t.equal(await why(failed), notEnded)
  t.equal(await why(alone), 'Nobody has asked for its end.')
  isProblem(t, await request('GET', `/v1/sessions/${randomUUID()}`), 404, 'not-found')

  const room = sandbox.createRoom({ friendlyUrl: 'room' }).id
  const start = (startTime: number) => sandbox.startSession({ room, startTime })
  const first = start(Date.parse(at(-HOUR)))
  await endNow({ room })
  sandbox.inject({ kind: 'status', status: 400, operation: 'room-sessions' })
  await endNow({ room: 'room' })
  t.match(await why(first), /^It ended because booking/, 'by an ending of its room')
  t.match(await view(first.id), {
    endedBy: { requestedBy: 'booking', reason: 'why' },
    endings: [{ target: { room } }],
  })
  t.equal((await view(first.id)).endings.length, 1)
  t.equal((await view(first.id, '?include=room')).endings.length, 2)
  const next = start(Date.parse(at(60_000)))
  t.equal(await why(next), 'Nobody has asked for its end.', 'what its room was due before is not about it')
  const later = await ask({ target: { room }, dueAt: at(HOUR) })
  const ahead = await view(next.id)
  t.match(ahead, { inForce: { ending: later.id }, endedBy: null, why: /^It will be ended at/ })
  t.match(ahead.endings, [{ id: later.id }], 'what is pending for its room is about it')
  t.equal(ahead.endings.length, 1)
  sandbox.endSession(next.id)
  await clock.advance(2000)
  t.match(await view(next.id), { inForce: null, why: itself }, 'not by what has ended another')

  await down()
  t.equal(await why(ended), because)
  t.match(await view(ended.id), { live: null, room: null, endings: [{ attempts: [{ result: 'ended' }] }] })
  t.equal(await why(failed), notEnded)
  isProblem(t, await request('GET', `/v1/sessions/${alone.id}`), 503, 'upstream-unavailable')
  await app.ledger.sessionSeenOver(byItself.id)
  const found = await view(byItself.id)
  t.match(found, { live: null, endings: [{ state: 'ended', outcome: 'already_ended' }] })
  t.equal(found.overAt, found.endings[0].confirmedAt)
})

onEveryEngine(t, 'why it is still on, though it was to be ended', async (t, databaseUrl) => {
  const { live, why, ask, at, sandbox, request, clock, app, ending } = await startSessions(t, databaseUrl)
  const [session, taken, refused] = [live(), live(), live({ friendlyUrl: 'refused' })]
  const headers = { 'retry-after': '600' }
  sandbox.inject({ kind: 'status', status: 503, session: session.id, operation: 'end', headers })
  const overdue = await ask({ target: { session: session.id }, dueAt: at(5000) })
  await clock.advance(5000)
  const tried = await until(async () => {
    const { attempt, nextAttemptAt } = await ending(overdue.id)
    return attempt === 1 && nextAttemptAt
  })
  const due = `It was due to be ended at ${overdue.dueAt} because booking asked for it (requested); `
  const last = (await ending(overdue.id)).attempts?.at(-1)
  t.equal(
    await why(session),
    `${due}tried once, the last call for it, at ${last?.startedAt}: ${last?.error}; the next try is at ${tried}.`,
  )
  t.match(last?.error, /503/)

  const { id, dueAt } = await ask({ target: { session: taken.id } })
  const cancelled = (await request('POST', `/v1/endings/${id}/cancel`)).json()
  t.equal(
    await why(taken),
    `It was not ended: what booking asked for (requested), due at ${dueAt}, was cancelled at ${cancelled.finishedAt}.`,
  )

  sandbox.inject({ kind: 'status', status: 500, operation: 'room-sessions', headers })
  const room = await ask({ target: { room: 'refused' }, dueAt: at(5000) })
  await until(async () => (await ending(room.id)).attempt === 1)
  t.match(await why(refused), /; tried once, without getting as far as a call for it; the next try is at 20/)
  sandbox.inject({ kind: 'status', status: 401, session: session.id, operation: 'end' })
  await request('PATCH', `/v1/endings/${overdue.id}`, { body: { dueAt: at(0) } })
  await until(() => app.gate.refused)
  t.match(await why(session), /; no call leaves, for Digital Samba refuses the credentials since 20\S+\.$/)
})

onEveryEngine(t, 'a busy room does not hide what a session’s own endings did', async (t, databaseUrl) => {
  const { live, view, endNow, ask, at, request } = await startSessions(t, databaseUrl)
  const session = live({ friendlyUrl: 'busy' })
  const own = await endNow({ session: session.id })
  const room = { target: { room: 'busy' } }
  const some = Array.from({ length: 110 }, (_, i) => ask({ ...room, dueAt: at(HOUR + i) }))
  await Promise.all(some)
  const { why, endings, endedBy } = await view(session.id)
  t.match(why, /^It ended because booking asked for it \(why\)/)
  t.same(endedBy, { id: own.id, requestedBy: 'booking', reason: 'why' })
  t.same(
    endings.map(({ id }: { id: string }) => id),
    [own.id],
    'others of its room only where they are asked for',
  )
  const whole = await view(session.id, '?include=room')
  t.equal(whole.endings.length, 101)
  t.equal(whole.endings.at(-1).id, own.id)
  t.same(whole.endedBy, endedBy)
  for (const query of ['?include=all', '?include=', '?room=1', '?include=room&include=room'])
    isProblem(t, await request('GET', `/v1/sessions/${session.id}${query}`), 422, 'invalid', [
      query.startsWith('?room') ? '/room' : '/include',
    ])
})

onEveryEngine(t, 'lateness counts from the time it was due in the end', async (t, databaseUrl) => {
  const { live, ask, at, sandbox, request, clock, ending } = await startSessions(t, databaseUrl)
  const target = { session: live().id }
  sandbox.inject({ kind: 'status', status: 500, headers: { 'retry-after': '600' }, operation: 'end' })
  const { id } = await ask({ target, dueAt: at(0), key: 'k' })
  await until(async () => (await ending(id)).attempt === 1)
  await request('PATCH', `/v1/endings/${id}`, { body: { dueAt: at(5000) } })
  const receipt = async () => (await request('GET', `/v1/endings/${id}/receipt`)).json()
  const early = await receipt()
  t.match(early, { latenessMs: null, firstCallAt: /^20/ })
  await clock.advance(5000)
  await until(async () => (await ending(id)).state === 'ended')
  const late = await receipt()
  t.equal(late.firstCallAt, early.firstCallAt)
  t.equal(late.latenessMs, Date.parse(late.attempts.at(-1).startedAt) - Date.parse(late.dueAt))
  t.ok(late.latenessMs >= 0)
})

onEveryEngine(t, 'an ending’s receipt stands by itself', async (t, databaseUrl) => {
  const { live, endNow, request, ask, sandbox, ending } = await startSessions(t, databaseUrl)
  const session = live()
  sandbox.inject({ kind: 'status', status: 503, session: session.id, operation: 'end' })
  const body = { session: session.id }
  const { id, attempts, ...over } = await endNow(body)
  const receipt = async (ending: string) =>
    (await request('GET', `/v1/endings/${ending}/receipt`, { as: 'billing' })).json()
  const { issuedAt, latenessMs, ...told } = await receipt(id.toUpperCase())
  t.same(told, {
    ending: id,
    target: body,
    requestedBy: 'booking',
    reason: 'why',
    key: null,
    subject: null,
    createdAt: over.createdAt,
    dueAt: over.dueAt,
    state: 'ended',
    outcome: 'ended',
    failure: null,
    firstCallAt: attempts?.[0]?.startedAt,
    finishedAt: over.finishedAt,
    confirmedAt: null,
    attempts,
    warnings: [],
    metadata: {},
  })
  t.equal(attempts?.length, 2)
  t.equal(latenessMs, Date.parse(told.firstCallAt) - Date.parse(told.dueAt))
  t.ok(issuedAt >= told.finishedAt)
  const pending = await ask({ key: 'k', metadata: { a: 1 } })
  t.match(await receipt(pending.id), {
    firstCallAt: null,
    latenessMs: null,
    attempts: [],
    key: 'k',
    metadata: { a: 1 },
  })
  t.match(await ending(pending.id), { state: 'pending' })
  isProblem(t, await request('GET', `/v1/endings/${randomUUID()}/receipt`), 404, 'not-found')
  isProblem(t, await request('GET', '/v1/endings/abc/receipt'), 422, 'invalid', ['/id'])
})
