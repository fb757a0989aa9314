import { event } from '../events/messages.ts'
import { until } from '../helper/service.ts'
import { HOUR } from '../routes/scene.ts'
import type { Recorder } from './recorder.ts'

const WAIT = { prefer: 'wait=10' }

/** Every operation as it goes well, with every status that it then answers. */
export async function allIsWell(recorder: Recorder): Promise<void> {
  await endingsAreAskedFor(recorder)
  await endingsAreChanged(recorder)
  await roomsAreRuled(recorder)
  await othersTell(recorder)
  await callersAreTold(recorder)
  for (const id of [
    'getStatistics',
    'getStatus',
    'getHealth',
    'getReadiness',
    'getMetrics',
    'getDocument',
    'getDocs',
    'getConsole',
  ])
    await recorder.ask(id)
}

async function endingsAreAskedFor(recorder: Recorder): Promise<void> {
  const { sandbox, at } = recorder.scene
  const live = (friendlyUrl: string) =>
    sandbox.startSession({
      room: sandbox.createRoom({ friendlyUrl, externalId: `external-${friendlyUrl}` }).id,
    }).id
  const session = live('board-room')
  const later = {
    dueAt: at(HOUR),
    reason: 'booking_over',
    key: 'booking:8731',
    warnMinutes: [10, 2],
    metadata: { ticket: 'A-1' },
  }
  await recorder.ask('endSession', { url: `/v1/sessions/${session}/end`, body: later })
  await recorder.ask('endRoom', {
    url: '/v1/rooms/board-room/end',
    body: { ...later, key: 'room:board-room' },
  })
  const target = { roomExternalId: 'external-board-room' }
  const general = { target, dueAt: at(HOUR), holdUntil: at(2 * HOUR), reason: 'billing_suspended' }
  const headers = { 'idempotency-key': '8e03978e-40d5-43e8-bc93-6894a57f9324' }
  for (const _ of ['once', 'again']) await recorder.ask('createEnding', { body: general, headers })
  const now = { reason: 'booking_cancelled' }
  const ended = await recorder.ask('endSession', {
    url: `/v1/sessions/${session}/end`,
    body: { ...now, key: 'booking:8732' },
    headers: WAIT,
  })
  live('team-standup')
  await recorder.ask('endRoom', { url: '/v1/rooms/team-standup/end', body: now, headers: WAIT })
  live('all-hands')
  await recorder.ask('createEnding', { body: { ...now, target: { room: 'all-hands' } }, headers: WAIT })
  await recorder.ask('getEnding', { url: `/v1/endings/${ended.json().id}` })
  await recorder.ask('getReceipt', { url: `/v1/endings/${ended.json().id}/receipt` })
  await recorder.ask('listEndings', { url: '/v1/endings?limit=2' })
  await recorder.ask('getSession', { url: `/v1/sessions/${session}` })
}

async function endingsAreChanged(recorder: Recorder): Promise<void> {
  const { sandbox, ask, finished, at } = recorder.scene
  const session = sandbox.startSession({ room: sandbox.createRoom().id }).id
  const { id } = await ask({ target: { session } })
  await recorder.ask('moveEnding', { url: `/v1/endings/${id}`, body: { extendMinutes: 10 } })
  await recorder.ask('moveEnding', { url: `/v1/endings/${id}`, body: { dueAt: at(3 * HOUR) } })
  await recorder.ask('cancelEnding', { url: `/v1/endings/${id}/cancel` })
  const failed = await finished('failed')
  const filter = { reason: 'requested', failure: 'session_not_found' }
  await recorder.ask('retryEndings', { body: { filter, dryRun: true } })
  await recorder.ask('cancelEndings', { body: { filter: { reason: 'booking_over' } } })
  await recorder.ask('retryEnding', { url: `/v1/endings/${failed.id}/retry` })
  await until(async () => (await recorder.scene.ending(failed.id)).state === 'failed')
}

async function roomsAreRuled(recorder: Recorder): Promise<void> {
  const url = '/v1/time-limits/team-standup'
  await recorder.ask('setRule', { url, body: { maxMinutes: 60 } })
  await recorder.ask('setRule', { url, body: { maxMinutes: 50, warnMinutes: [10, 2] } })
  await recorder.ask('getRule', { url })
  await recorder.ask('listRules')
  await recorder.ask('deleteRule', { url })
  const held = await recorder.ask('listHolds')
  await recorder.ask('liftHold', { url: `/v1/holds/${held.json().data[0].id}` })
  const { sandbox } = recorder.scene
  sandbox.startSession({ room: sandbox.createRoom({ friendlyUrl: 'open-room' }).id })
  await recorder.ask('listSessions', { url: '/v1/sessions?live=true' })
}

async function othersTell(recorder: Recorder): Promise<void> {
  const { at, sandbox } = recorder.scene
  const data = { bookingId: '8733', roomId: 'board-room', endsAt: at(HOUR) }
  const told = event('booking.scheduled', data, { id: 'evt-1', source: '/shop', time: at(0) })
  for (const _ of ['once', 'again']) await recorder.ask('sendEvents', { body: JSON.stringify(told) })
  await recorder.ask('sendEvents', { body: JSON.stringify(event('booking.cancled', data)) })
  const dry = JSON.stringify(event('booking.scheduled', { ...data, bookingId: '8734' }))
  await recorder.ask('sendEvents', { url: '/v1/events?dryRun=true', body: dry })
  await recorder.ask('pause', { as: 'ops', body: { reason: 'a caller runs wild', caller: 'billing' } })
  await recorder.ask('resume', { as: 'ops', body: { caller: 'billing', missed: 'do' } })
  const session = sandbox.startSession({ room: sandbox.createRoom().id }).id
  await recorder.ask('receiveWebhook', { body: { eventType: 'session_ended', sessionId: session } })
}

async function callersAreTold(recorder: Recorder): Promise<void> {
  const { ask, request, at } = recorder.scene
  const { id } = await ask({ target: { room: 'board-room' }, dueAt: at(HOUR) })
  await request('POST', `/v1/endings/${id}/cancel`, { as: 'ops' })
  await until(async () => (await notificationOf(recorder, id))?.state === 'told')
  const told = await recorder.ask('listNotifications', { url: `/v1/notifications?ending=${id}` })
  await recorder.ask('getNotification', { url: `/v1/notifications/${told.json().data[0].id}` })
  await recorder.ask('getEnding', { url: `/v1/endings/${id}` })
  await waitingNotification(recorder)
  const waiting = (await request('GET', '/v1/notifications?state=pending')).json().data[0]
  await recorder.ask('retryNotification', { url: `/v1/notifications/${waiting.id}/retry` })
  await recorder.ask('retryNotifications', { body: { filter: { state: 'failed' }, dryRun: true } })
}

const notificationOf = async ({ scene }: Recorder, ending: string) =>
  (await scene.request('GET', `/v1/notifications?ending=${ending}`)).json().data[0]

/** One that its receiver has not heard. */
async function waitingNotification(recorder: Recorder): Promise<void> {
  const { ask, request, at } = recorder.scene
  recorder.receiver.answer = (_, response) => void response.writeHead(503).end()
  const { id } = await ask({ target: { room: 'board-room' }, dueAt: at(HOUR) })
  await request('POST', `/v1/endings/${id}/cancel`, { as: 'ops' })
  await until(async () => (await notificationOf(recorder, id))?.attempt === 1)
}
