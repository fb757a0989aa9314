import t from 'tap'
import { freshUrl, onEveryEngine } from '../helper/engines.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { startReceiver } from '../helper/receiver.ts'
import { until } from '../helper/service.ts'
import { startNotifier } from './notifier.ts'

const LEASE_MS = 15_000

/**
 * Whatever goes wrong in between is tried again after a moment, which has to come. No faster than the real one: a lease
 * must not run out while somebody tells under it.
 */
function passing(clock: ManualClock, is: () => boolean | Promise<boolean>) {
  const ahead = clock.now() - performance.now()
  return until(async () => {
    await clock.advanceTo(Math.floor(performance.now() + ahead))
    return is()
  })
}

onEveryEngine(
  t,
  'four at once are under way, by all processes together, and each is told once',
  async (t, url, engine) => {
    const clock = new ManualClock()
    const booking = await startReceiver(t)
    let underWay = 0
    let most = 0
    const hold = Promise.withResolvers<void>()
    booking.answer = async (_, response) => {
      underWay += 1
      most = Math.max(most, underWay)
      await hold.promise
      underWay -= 1
      response.end()
    }
    const first = await startNotifier(t, { url, clock, receiver: booking })
    const others = engine === 'postgres' ? [await startNotifier(t, { url, clock, receiver: booking })] : []
    const all = [first, ...others]
    const wanted = new Set<string>()
    for (let i = 0; i < 60; i += 1) wanted.add(await (all[i % all.length] as typeof first).cancelOne())
    await until(() => underWay === 4)
    hold.resolve()
    // What waits until others have written theirs down looks again in a second.
    await passing(clock, async () => (await first.store.counts()).pending === 0)
    t.same(new Set(booking.received.map(({ event }) => event.subject)), wanted)
    t.equal(booking.received.length, wanted.size, 'each once')
    t.equal(most, 4)
  },
)

onEveryEngine(t, 'whoever dies has told a caller for fifteen seconds more at most', async (t, url) => {
  const clock = new ManualClock()
  const booking = await startReceiver(t)
  const first = await startNotifier(t, { url, clock, receiver: booking })
  await first.notifier.stop(0)
  // Somebody takes the lease, and is never heard of again.
  const until15 = clock.now() + LEASE_MS
  t.equal(await first.store.hold({ caller: 'booking', holder: 'who died', until: until15 }), undefined)
  await first.cancelOne()
  await first.stop()
  const { store } = await startNotifier(t, { url, clock, receiver: booking, isPrepared: true })
  await clock.advanceTo(until15 - 1)
  t.same(booking.received, [])
  await clock.advanceTo(until15)
  await until(() => booking.received.length === 1)
  const id = booking.received[0]?.id as string
  await until(async () => (await store.find(id))?.state === 'told')
})

onEveryEngine(t, 'what somebody says too late changes nothing', async (t, url) => {
  const clock = new ManualClock()
  const booking = await startReceiver(t)
  const { store, cancelOne, notifier } = await startNotifier(t, { url, clock, receiver: booking })
  await notifier.stop(0)
  await cancelOne()
  const [notification] = await store.due('booking', 1)
  if (!notification) throw new Error('none is due')
  const tried = { started_at: clock.now(), duration_ms: 1, status: 500, error: 'answered 500', answer: '' }
  const later = clock.now() + 5000
  await store.settle({ notification, tried, to: { state: 'pending', nextAttemptAt: later } })
  await store.settle({ notification, tried, to: { state: 'failed' } })
  t.match(await store.find(notification.id), { state: 'pending', attempt: 1, next_attempt_at: later })
  t.equal((await store.tries(notification.id)).length, 1)
})

t.test('a slow receiver delays nobody else', async (t) => {
  const clock = new ManualClock()
  const [slow, quick] = [await startReceiver(t), await startReceiver(t)]
  slow.answer = () => {}
  const url = await freshUrl(t, 'postgres')
  const one = await startNotifier(t, { url, clock, receiver: slow })
  const other = await startNotifier(t, { url, clock, receiver: quick, caller: 'desk' })
  for (let i = 0; i < 8; i += 1) await one.cancelOne()
  await passing(clock, () => slow.received.length === 4)
  for (let i = 0; i < 8; i += 1) await other.cancelOne()
  await passing(clock, () => quick.received.length === 8)
  t.equal(slow.received.length, 4)
})

onEveryEngine(t, 'what is written down while the next are looked up is not told again', async (t, url) => {
  const clock = new ManualClock()
  const booking = await startReceiver(t)
  const first = Promise.withResolvers<void>()
  booking.answer = async (_, response) => {
    if (booking.received.length === 1) await first.promise
    response.end()
  }
  const { store, cancelOne } = await startNotifier(t, { url, clock, receiver: booking })
  await cancelOne()
  await passing(clock, () => booking.received.length === 1)
  const id = booking.received[0]?.id as string
  const due = store.due.bind(store)
  store.due = async (...asked) => {
    store.due = due
    const rows = await due(...asked)
    t.same(rows[0]?.id, id, 'it is read as it was before')
    first.resolve()
    await until(async () => (await store.find(id))?.state === 'told')
    // Its attempt has to be over as well.
    await new Promise((resolve) => setTimeout(resolve, 20))
    return rows
  }
  await cancelOne()
  await passing(clock, async () => (await store.counts()).pending === 0)
  t.equal(booking.received.length, 2, 'each once')
})

onEveryEngine(t, 'who is told to stop gives back what is under way', async (t, url) => {
  const clock = new ManualClock()
  const booking = await startReceiver(t)
  booking.answer = () => {}
  const first = await startNotifier(t, { url, clock, receiver: booking })
  await first.cancelOne()
  await passing(clock, () => booking.received.length === 1)
  await first.stop()
  booking.answer = (_, response) => void response.end()
  const second = await startNotifier(t, { url, clock, receiver: booking })
  await passing(clock, () => booking.received.length === 2)
  const [one, two] = booking.received
  t.equal(one?.id, two?.id)
  await passing(clock, async () => (await second.store.find(one?.id as string))?.state === 'told')
  t.match(await second.store.find(one?.id as string), { attempt: 1 }, 'and no try is counted for it')
})

onEveryEngine(t, 'they go with their endings', async (t, url) => {
  const clock = new ManualClock()
  const booking = await startReceiver(t)
  const { store, ledger, cancelOne, database } = await startNotifier(t, { url, clock, receiver: booking })
  for (let i = 0; i < 20; i += 1) await cancelOne()
  await passing(clock, async () => (await store.counts()).pending === 0)
  while (await ledger.prune(clock.now() + 1));
  for (const table of ['endings', 'notifications', 'notification_tries'] as const)
    t.same(await database.db.selectFrom(table).selectAll().execute(), [], table)
})
