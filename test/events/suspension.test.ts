import t from 'tap'
import type { Attempt } from '../../src/routes/ending-schemas.ts'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import { startService, until } from '../helper/service.ts'
import { HOUR, type Scene, startScene } from '../routes/scene.ts'
import { answersOf, event, type Fields, post, statusesOf } from './messages.ts'

const DAY = 24 * HOUR
const ROOMS = 10
const FAILURES = 20

function liveRoom(sandbox: Sandbox, externalId: string | null = null) {
  const room = sandbox.createRoom({ externalId }).id
  return { room, session: sandbox.startSession({ room }) }
}

t.test('ten rooms of one suspension are ended however often Digital Samba is out of order', async (t) => {
  const { sandbox, ending, ...service } = await startService(t)
  const rooms = Array.from({ length: ROOMS }, () => liveRoom(sandbox))
  const bystander = liveRoom(sandbox)
  sandbox.inject({ kind: 'status', status: 503, operation: 'end', times: FAILURES })
  const targets = rooms.map(({ room }) => ({ roomId: room }))
  const answer = await post(service, event('billing.suspended', { account: 'a-1', targets }), {
    as: 'billing',
  })
  const [{ endings: ids = [] } = {}] = answersOf(answer)
  t.equal(ids.length, ROOMS)
  await until(async () => (await service.app.ledger.backlog()).pending === 0)

  const statuses: unknown[] = []
  for (const [i, { room, session }] of rooms.entries()) {
    const { attempts = [], ...over } = await ending(ids[i] as string)
    t.match(over, {
      state: 'ended',
      outcome: 'ended',
      target: { room },
      subject: 'account:a-1',
      requestedBy: 'billing',
      reason: 'billing_suspended',
    })
    t.equal(session.live, false)
    t.same(story(attempts), expectedStory(sandbox, session.id), `the story of room ${i}`)
    t.ok(
      attempts.every(({ startedAt }, n) => startedAt >= (attempts[n - 1]?.startedAt ?? '')),
      'in order',
    )
    t.ok(attempts.every((attempt) => attempt.attempt >= 1 && attempt.attempt <= over.attempt))
    statuses.push(...attempts.map(({ status }) => status))
  }
  t.equal(statuses.filter((status) => status === 503).length, FAILURES, 'every failure is told')
  t.equal(statuses.length, FAILURES + ROOMS)
  t.equal(bystander.session.live, true)
})

const story = (attempts: Attempt[]) =>
  attempts.map(({ session, status, result, error }) => ({ session, status, result, failed: error !== null }))

/** What the sandbox saw: failures, and at last the end. */
function expectedStory(sandbox: Sandbox, session: string) {
  const calls = sandbox.calls.filter((call) => call.operation === 'end' && call.session === session)
  return calls.map(({ status }, i) => {
    const last = i === calls.length - 1
    return { session, status, result: last ? 'ended' : 'retry', failed: !last }
  })
}

/** Until all that is due by now is done. */
const settled = ({ app }: Scene) =>
  until(async () => {
    const { overdue } = await app.ledger.backlog()
    const pending = await app.ledger.list({ state: 'pending' }, 1000)
    return overdue === 0 && pending.every(({ claimed_until }) => claimed_until === null)
  })

t.test('who pays within the grace keeps the sessions, and nobody else does', async (t) => {
  const scene = await startScene(t)
  const { sandbox, ending, clock } = scene
  const rooms = Array.from({ length: 5 }, (_, i) => liveRoom(sandbox, `room ${i}`))
  const live = () => rooms.map(({ session }) => session.live)
  const [first, , , other, others] = rooms.map(({ room }) => room)
  const suspend = async (account: string, targets: Fields[], as: 'billing' | 'booking' = 'billing') => {
    const data = { account, targets, graceSeconds: 600 }
    return answersOf(await post(scene, event('billing.suspended', data), { as }))[0]?.endings ?? []
  }
  const targets = [{ roomId: first }, { sessionId: rooms[1]?.session.id }, { roomExternalId: 'room 2' }]
  const paid = await suspend('a-1', targets)
  const unpaid = [
    ...(await suspend('a-2', [{ roomId: other }])),
    ...(await suspend('a-1', [{ roomId: others }], 'booking')),
  ]
  await clock.advance(599_000)
  t.same(sandbox.calls, [], 'the grace is theirs')

  const resumed = event('billing.resumed', { account: 'a-1' })
  const [taken] = answersOf(await post(scene, resumed, { as: 'billing' }))
  t.equal(taken?.status, 'accepted')
  t.same(taken?.endings.toSorted(), paid.toSorted(), 'says what it took back')
  for (const id of paid) t.match(await ending(id), { state: 'cancelled', attempts: [] })
  for (const id of unpaid) t.match(await ending(id), { state: 'pending' })
  await clock.advance(1000)
  await settled(scene)
  for (const id of unpaid) t.match(await ending(id), { state: 'ended', outcome: 'ended' })
  t.same(live(), [true, true, true, false, false])

  t.same(answersOf(await post(scene, resumed, { as: 'billing' })), [{ ...taken, status: 'duplicate' }])
  const late = event('billing.resumed', { account: 'a-2' }, { time: scene.at(-HOUR) })
  t.same(statusesOf(await post(scene, late, { as: 'billing' })), ['stale'])
})

t.test("a booking that is cancelled before it begins leaves today's session in its room alone", async (t) => {
  const scene = await startScene(t)
  const { sandbox, ending, clock, at } = scene
  const { room, session } = liveRoom(sandbox)
  const tomorrow = { startsAt: at(DAY), endsAt: at(DAY + HOUR) }
  const change = async (name: string, data: Fields) => {
    const [answer] = answersOf(await post(scene, event(`booking.${name}`, { roomId: room, ...data })))
    t.equal(answer?.status, 'accepted')
    return answer?.endings ?? []
  }
  const scheduled = await change('scheduled', { bookingId: 'told before', ...tomorrow })
  t.same(await change('cancelled', { bookingId: 'told before' }), scheduled, 'what was pending is taken back')
  t.match(await ending(scheduled[0] as string), { state: 'cancelled' })
  t.same(await change('cancelled', { bookingId: 'told now', ...tomorrow }), [], 'nothing to take back')
  t.equal((await scene.app.ledger.backlog()).pending, 0)
  await clock.jumpTo(scene.now + DAY + 2 * HOUR)
  await settled(scene)
  t.equal(session.live, true)
  t.same(sandbox.calls, [], 'not one call')

  const begun = { bookingId: 'begun', startsAt: at(DAY), endsAt: at(DAY + 3 * HOUR) }
  const [id] = await change('cancelled', begun)
  await until(async () => (await ending(id as string)).state === 'ended')
  t.equal(session.live, false, 'one that has begun is ended')
})
