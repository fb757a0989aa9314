import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts'
import { endCalls } from '../helper/curfew.ts'
import { onEveryEngine } from '../helper/engines.ts'
import { KEYS, type Service, startService, until } from '../helper/service.ts'
import { isProblem } from '../routes/problems.ts'
import { type Contents, contents } from './contents.ts'
import { answersOf, BATCHED, type EventAnswer, event, type Fields, post, statusesOf } from './messages.ts'

// No call waits for another minute.
const MANY = { env: { CALLS_PER_MINUTE: '100000' }, sandboxOptions: { callsPerMinute: 1e9 } }
const HOUR = 3_600_000

const startOn = (t: Test, databaseUrl: string, sandbox?: Sandbox) =>
  startService(t, { ...MANY, databaseUrl, ...(sandbox ? { sandbox } : {}) })
const inAnHour = () => new Date(Date.now() + HOUR).toISOString()
const liveSession = (sandbox: Sandbox) => sandbox.startSession({ room: sandbox.createRoom().id }).id
const nothingIsDue = ({ app }: Service) =>
  until(async () => (await app.ledger.backlog()).overdue === 0 && !(await isUnderway(app)))

async function isUnderway({ ledger }: Service['app']): Promise<boolean> {
  const pending = await ledger.list({ state: 'pending' }, 1000)
  return pending.some(({ claimed_until }) => claimed_until !== null)
}

/** Without what time brings by itself: some seconds later each end is confirmed. */
const unconfirmed = ({ endings, ...rest }: Contents) => ({
  ...rest,
  endings: endings.map(({ confirm_at, confirmed_at, ...ending }) => ending),
})

/** How many rows there are of each kind. */
const sizes = ({ endings, events, subjects }: Contents) => [endings.length, events.length, subjects.length]

onEveryEngine(
  t,
  'of 500 events with a bad one none is done, and mended each is done once',
  async (t, url) => {
    const service = await startOn(t, url)
    const { sandbox } = service
    const sessions = Array.from({ length: 500 }, () => liveSession(sandbox))
    const endsAt = inAnHour()
    const batch = sessions.map((sessionId, i) =>
      event('booking.cancelled', { bookingId: `b-${i}`, sessionId, endsAt }),
    )
    const bad = batch.with(137, {
      ...batch[137],
      data: { bookingId: 'b-137', sessionId: sessions[137], endsAt: 'soon' },
    })
    isProblem(t, await post(service, bad), 422, 'invalid', ['/137/data/endsAt'])
    t.same(sizes(await contents(url)), [0, 0, 0], 'nothing is stored')
    t.same(sandbox.calls, [], 'nothing was called')

    const answers = answersOf(await post(service, batch))
    t.same(
      answers.map(({ id, type, status }) => ({ id, type, status })),
      batch.map(({ id }) => ({ id, type: 'booking.cancelled', status: 'accepted' })),
    )
    const ids = answers.flatMap(({ endings }) => endings)
    t.equal(new Set(ids).size, 500, 'one ending each')
    await nothingIsDue(service)
    t.same(sandbox.liveSessions(), [])
    const done = await contents(url)
    t.same(sizes(done), [500, 500, 500])

    const repeated = answers.map((answer) => ({ ...answer, status: 'duplicate' }))
    for (let again = 0; again < 2; again += 1) t.same(answersOf(await post(service, batch)), repeated)
    t.same(unconfirmed(await contents(url)), unconfirmed(done), 'nothing new')
    t.same(endCalls(sandbox), new Map(sessions.map((session) => [session, 1])), 'one call each')
  },
)

onEveryEngine(t, 'of the same event in one batch only the first counts', async (t, url) => {
  const service = await startOn(t, url)
  const scheduled = (bookingId: string, more: Fields) =>
    event('booking.scheduled', { bookingId, roomId: 'the-room', endsAt: inAnHour() }, more)
  const other = scheduled('other', { id: '1', source: '/other' })
  const batch = [
    scheduled('first', { id: '1' }),
    scheduled('second', { id: '1' }),
    other,
    event('time_limit.reached', { roomId: 'another-room' }, { id: '1' }),
    scheduled('third', { id: '2' }),
    other,
  ]
  const answers = answersOf(await post(service, batch))
  t.same(
    answers.map(({ status }) => status),
    ['accepted', 'duplicate', 'accepted', 'duplicate', 'accepted', 'duplicate'],
  )
  const [first, second, third, fourth, , sixth] = answers.map(({ endings }) => endings)
  t.same([second, fourth], [first, first], 'a repeat says what the first one did')
  t.same(sixth, third)
  const { endings } = await contents(url)
  t.same(endings.map(({ key }) => key).sort(), ['booking:first', 'booking:other', 'booking:third'])
  t.same(statusesOf(await post(service, [other], { as: 'billing' })), ['accepted'], 'another sender')
  t.equal((await contents(url)).endings.length, 4)
})

/** Sixty events of every kind, no two about the same, which make eighty endings. */
function mixed(sandbox: Sandbox): { batch: Fields[]; sessions: string[] } {
  const sessions = Array.from({ length: 20 }, () => liveSession(sandbox))
  const targets = [{ roomId: 'room-1' }, { roomId: 'room-2' }]
  const batch = sessions.flatMap((sessionId) => [
    event('booking.scheduled', { bookingId: randomUUID(), roomId: 'the-room', endsAt: inAnHour() }),
    event('time_limit.reached', { sessionId }),
    event('billing.suspended', { account: randomUUID(), targets, graceSeconds: 3600 }),
  ])
  return { batch, sessions }
}

/** Over a socket of its own. */
async function sendTo(address: string, batch: Fields[]): Promise<EventAnswer[]> {
  const answer = await fetch(`${address}/v1/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEYS.booking}`, 'content-type': BATCHED, connection: 'close' },
    body: JSON.stringify(batch),
  })
  return answersOf({ statusCode: answer.status, body: await answer.text() })
}

const byId = (answers: EventAnswer[]) => new Map(answers.map((answer) => [answer.id, answer]))
const ROUNDS = 4

onEveryEngine(
  t,
  'of the same batch from two sides at once each event has one effect',
  async (t, url, engine) => {
    const sandbox = await startSandbox(MANY.sandboxOptions)
    t.teardown(() => sandbox.close())
    const first = await startOn(t, url, sandbox)
    const second = engine === 'postgres' ? await startOn(t, url, sandbox) : first
    const one = await first.app.listen({ port: 0, host: '127.0.0.1' })
    const other = second === first ? one : await second.app.listen({ port: 0, host: '127.0.0.1' })
    const all: string[] = []
    for (let round = 1; round <= ROUNDS; round += 1) {
      const { batch, sessions } = mixed(sandbox)
      all.push(...sessions)
      const sides = [sendTo(one, batch), sendTo(one, batch), sendTo(other, batch), sendTo(other, batch)]
      const answers = (await Promise.all(sides)).map(byId)
      for (const { id } of batch) {
        const told = answers.map((side) => side.get(id as string))
        const statuses = told.map((answer) => answer?.status).sort()
        if (statuses.join() !== 'accepted,duplicate,duplicate,duplicate') t.fail(`${id}: ${statuses}`)
        if (new Set(told.map((answer) => answer?.endings.join())).size !== 1) t.fail(`${id}: other endings`)
      }
      t.same(sizes(await contents(url)), [80 * round, 60 * round, 40 * round], `round ${round}`)
    }
    await nothingIsDue(first)
    t.same(endCalls(sandbox), new Map(all.map((session) => [session, 1])), 'one call each')
  },
)
