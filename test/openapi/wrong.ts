import { randomUUID } from 'node:crypto'
import { OPERATIONS } from '../../src/openapi/operations.ts'
import type { ProblemCode } from '../../src/problem.ts'
import { newId } from '../../src/storage/engine/ids.ts'
import { event } from '../events/messages.ts'
import { signatureOf } from '../events/signing.ts'
import { until } from '../helper/service.ts'
import { HOUR } from '../routes/scene.ts'
import { type Asked, ID, READER, type Recorder } from './recorder.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const told = (type: string, data: unknown) => JSON.stringify(event(type, data))
const scheduled = (bookingId: string, endsAt: string) =>
  told('booking.scheduled', { bookingId, roomId: 'one-more', endsAt })

/** A body that each operation takes; the others need none. */
const BODIES = (at: (ms: number) => string): Record<string, unknown> => ({
  endSession: {},
  endRoom: {},
  createEnding: { target: { room: 'abc' } },
  moveEnding: { dueAt: at(HOUR) },
  setRule: { maxMinutes: 60 },
  sendEvents: scheduled('1', at(HOUR)),
  cancelEndings: { filter: { reason: 'nobody_knows' } },
  retryEndings: { filter: { reason: 'nobody_knows' } },
  retryNotifications: { filter: { type: 'curfew.ending.failed' } },
  pause: { reason: 'a caller runs wild' },
  resume: { missed: 'do' },
  receiveWebhook: { eventType: 'session_ended', sessionId: ID },
})

/** Who may ask for it. */
const whoFor = (id: string) => (id === 'pause' || id === 'resume' ? 'ops' : 'booking')

const every = (code: ProblemCode) =>
  Object.entries(OPERATIONS).filter(([, { problems }]) => problems.includes(code)) as [
    string,
    { id: string },
  ][]

/** What may be wrong with any request, asked of every operation that may be asked so. */
export async function wrongRequests(recorder: Recorder): Promise<void> {
  const bodies = BODIES(recorder.scene.at)
  for (const [, { id }] of every('unauthorized')) await recorder.ask(id, { as: null, body: bodies[id] })
  for (const [call, { id }] of every('path-too-long')) {
    const url = (call.split(' ')[1] as string).replace(/:\w+/, 'a'.repeat(2100))
    await recorder.ask(id, { url, body: bodies[id] })
  }
  for (const [, { id }] of every('unsupported-media-type')) {
    await recorder.ask(id, { body: 'x', headers: { 'content-type': 'text/plain' } })
    await recorder.ask(id, { body: '{"a":', headers: id === 'sendEvents' ? {} : JSON_TYPE })
  }
  for (const [, { id }] of every('body-too-large')) {
    const text = 'x'.repeat(id === 'sendEvents' ? 1024 * 1024 : 65_536)
    await recorder.ask(id, { body: JSON.stringify({ text }), headers: id === 'sendEvents' ? {} : JSON_TYPE })
  }
  for (const [call, { id }] of Object.entries(OPERATIONS)) {
    const url = `${(call.split(' ')[1] as string).replace(/:\w+/, ID)}?nonsense=1`
    await recorder.ask(id, { url, body: bodies[id] })
  }
  await recorder.ask('getHealth', { url: '/healthz?a=1&b=2' })
  const big = `GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`
  await recorder.write('getHealth', big)
}

/** What is not there, or somebody else's, or in another state. */
export async function wrongStates(recorder: Recorder): Promise<void> {
  const { ask, finished, at } = recorder.scene
  const bodies = BODIES(at)
  for (const id of [
    'getEnding',
    'moveEnding',
    'cancelEnding',
    'retryEnding',
    'getReceipt',
    'liftHold',
    'getRule',
    'deleteRule',
    'getSession',
    'getNotification',
    'retryNotification',
  ])
    await recorder.ask(id, { body: bodies[id] })
  await recorder.ask('listSessions', { url: `/v1/sessions?cursor=${ID}` })
  const pending = await ask({ key: 'taken' })
  const failed = await finished('failed', { key: 'taken-later' })
  await ask({ key: 'taken-later' })
  const ended = await finished('ended')
  const one = (id: string, ending: { id: string }, more: Asked = {}) => {
    const rest = id === 'moveEnding' ? '' : `/${id.replace('Ending', '')}`
    return recorder.ask(id, { url: `/v1/endings/${ending.id}${rest}`, body: bodies[id], ...more })
  }
  for (const id of ['moveEnding', 'cancelEnding', 'retryEnding']) {
    await one(id, id === 'retryEnding' ? failed : pending, { as: 'billing' })
    await one(id, id === 'retryEnding' ? pending : ended)
  }
  await one('retryEnding', failed)
  await recorder.ask('setRule', { body: bodies.setRule })
  await recorder.ask('setRule', { body: bodies.setRule, as: 'billing' })
  await recorder.ask('deleteRule', { as: 'billing' })
  await recorder.ask('createEnding', {
    body: { target: { room: 'abc' }, dueAt: at(HOUR), holdUntil: at(2 * HOUR) },
  })
  const held = await recorder.ask('listHolds')
  await recorder.ask('liftHold', { url: `/v1/holds/${held.json().data[0].id}`, as: 'billing' })
  const reading = { authorization: `Bearer ${READER}` }
  for (const id of ['endSession', 'endRoom', 'createEnding', 'cancelEndings', 'retryEndings', 'sendEvents'])
    await recorder.ask(id, { body: bodies[id], headers: reading })
  for (const id of ['pause', 'resume']) await recorder.ask(id, { body: bodies[id] })
  await recorder.ask('resume', { as: 'ops', body: bodies.resume })
  await recorder.ask('listNotifications', { url: '/v1/notifications?caller=billing' })
  await recorder.ask('retryNotifications', { body: { filter: { caller: 'billing' } } })
  const { id: told } = await until(
    async () => (await recorder.scene.request('GET', '/v1/notifications?state=told')).json().data[0],
  )
  await recorder.ask('getNotification', { url: `/v1/notifications/${told}`, as: 'billing' })
  await recorder.ask('retryNotification', { url: `/v1/notifications/${told}/retry`, as: 'billing' })
  await recorder.ask('retryNotification', { url: `/v1/notifications/${told}/retry` })
  const headers = { 'idempotency-key': 'the-same' }
  await recorder.ask('createEnding', { body: { target: { room: 'first' } }, headers })
  for (const id of ['endSession', 'endRoom', 'createEnding'])
    await recorder.ask(id, { body: bodies[id], headers })
  for (const id of ['moveEnding', 'cancelEnding', 'retryEnding']) await one(id, pending, { headers })
}

/** What is being carried out at the moment: those who would replace it wait two seconds, of the clock's time. */
export async function inProgress(recorder: Recorder): Promise<void> {
  const { underway, inTime, at, sandbox } = recorder.scene
  const busy = await underway({ key: 'busy' })
  await recorder.ask('moveEnding', { url: `/v1/endings/${busy.id}`, body: { dueAt: at(HOUR) } })
  await recorder.ask('cancelEnding', { url: `/v1/endings/${busy.id}/cancel` })
  await inTime(recorder.ask('endSession', { body: { key: 'busy' } }))
  await inTime(recorder.ask('endRoom', { body: { key: 'busy' } }))
  await inTime(recorder.ask('createEnding', { body: { key: 'busy', target: { room: 'abc' } } }))
  await underway({ key: 'booking:2' })
  await inTime(recorder.ask('sendEvents', { body: scheduled('2', at(HOUR)) }))
  sandbox.clearFaults()
}

/** More than one caller may keep. */
export async function tooMany(recorder: Recorder): Promise<void> {
  const { app, now, at } = recorder.scene
  const { db } = app.database
  const none = { subject: null, ending_id: null, lifted_at: null, lifted_by: null, by_id: 0 } as const
  const by = { requested_by: 'booking', created_at: now, by_id: 0 } as const
  for (let done = 0; done < 10_000; done += 500) {
    const names = Array.from({ length: 500 }, (_, i) => `full-${done + i}`)
    const hold = {
      room_kind: 'room',
      from_at: now,
      until_at: now + HOUR,
      reason: 'r',
      ...none,
      ...by,
    } as const
    await db
      .insertInto('holds')
      .values(names.map((room) => ({ id: newId(now), room, ...hold })))
      .execute()
    const rule = { max_minutes: 600, warn_minutes: null, updated_at: now, ...by }
    await db
      .insertInto('time_limits')
      .values(names.map((room) => ({ room, ...rule })))
      .execute()
  }
  const closing = { dueAt: at(HOUR), holdUntil: at(2 * HOUR) }
  await recorder.ask('endRoom', { url: '/v1/rooms/one-more/end', body: closing })
  await recorder.ask('createEnding', { body: { target: { room: 'one-more' }, ...closing } })
  await recorder.ask('setRule', { url: '/v1/time-limits/one-more', body: { maxMinutes: 60 } })
  const cancelled = { bookingId: '3', roomId: 'one-more', endsAt: at(HOUR) }
  await recorder.ask('sendEvents', { body: told('booking.cancelled', cancelled) })
}

/** Digital Samba cannot be asked, the code is wrong, strangers crowd in, it is being stopped. */
export async function troubles(recorder: Recorder): Promise<void> {
  const { app, sandbox } = recorder.scene
  sandbox.inject({ kind: 'status', status: 500, times: Number.POSITIVE_INFINITY })
  await recorder.ask('listSessions')
  await recorder.ask('getSession', { url: `/v1/sessions/${randomUUID()}` })
  sandbox.clearFaults()
  const { ledger } = app
  const find = ledger.find
  ledger.find = () => Promise.reject(new Error('a defect'))
  await recorder.ask('getEnding')
  ledger.find = find
  await strangers(recorder)
  app.drain()
  await recorder.ask('getReadiness')
}

/** One request a minute is allowed, and some wrong secrets of one address. */
export async function tooOften(recorder: Recorder): Promise<void> {
  const bodies = BODIES(recorder.scene.at)
  await recorder.ask('getStatus')
  await recorder.ask('getStatus', { as: 'ops' })
  for (const [, { id }] of every('too-many-requests'))
    await recorder.ask(id, { as: whoFor(id), body: bodies[id] })
  for (let tries = 0; tries < 70; tries += 1)
    await recorder.ask('receiveWebhook', { as: null, body: bodies.receiveWebhook })
}

/** The database is gone. */
export async function ledgerGone(recorder: Recorder): Promise<void> {
  const { app, sandbox, at } = recorder.scene
  sandbox.startSession({ room: sandbox.createRoom().id })
  // No call leaves without the ledger; the list that has just been fetched is still good.
  await recorder.ask('listSessions')
  await app.database.close()
  // The service closes it once more when it stops.
  app.database.close = async () => undefined
  await recorder.ask('listSessions')
  const bodies = BODIES(at)
  for (const [, { id }] of every('storage-unavailable'))
    await recorder.ask(id, { as: whoFor(id), body: bodies[id] })
}

/** Twenty who have not proved to have signed, where there is room for eight. */
async function strangers(recorder: Recorder): Promise<void> {
  const forged = { ...signatureOf('{}'), 'webhook-signature': `v1,${'A'.repeat(43)}=` }
  const type = { 'content-type': 'application/cloudevents+json', 'content-length': String(1024 * 1024) }
  const lines = Object.entries({ host: 'x', ...type, ...forged }).map(([name, value]) => `${name}: ${value}`)
  const bytes = `POST /v1/events HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\nx`
  await Promise.all(Array.from({ length: 20 }, () => recorder.write('sendEvents', bytes)))
}
