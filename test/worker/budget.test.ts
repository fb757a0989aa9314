import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import type { CallBudget } from '../../src/calls/budget.ts'
import { HOLD_MS, type Permit, RANK, WINDOW_MS } from '../../src/calls/permits.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { budgetInMemory, countedBudget } from '../helper/permits.ts'

const limits = (perMinute: number) => ({ perMinute, urgentPerMinute: perMinute })
const NEVER = new AbortController().signal
const ending = (at = 0) => ({ rank: RANK.ending, at })

async function spend(budget: CallBudget, calls: number): Promise<void> {
  for (let i = 0; i < calls; i += 1) (await budget.take(ending(), NEVER))?.spend()
}

t.test('never more than so many calls in any 61 seconds', async (t) => {
  const clock = new ManualClock(0)
  const budget = budgetInMemory(clock, limits(100))
  const left: number[] = []
  const worker = async () => {
    for (let i = 0; i < 250; i += 1) {
      const permit = (await budget.take(ending(), NEVER)) as Permit
      left.push(clock.now())
      permit.spend()
      // Some are given back unused, and count for nothing.
      if (i % 7 === 0) (await budget.take(ending(), NEVER))?.giveBack()
      if (i % 10 === 0) await clock.sleep(137)
    }
  }
  const done = Promise.all([worker(), worker()])
  while (left.length < 500) await clock.advanceTo(clock.nextWake() ?? clock.now())
  await done
  for (const [i, at] of left.entries()) {
    const within = left.slice(i).filter((later) => later < at + WINDOW_MS).length
    if (within > 100) return t.fail(`${within} calls from ${at}`)
  }
  t.ok(clock.now() <= 4 * WINDOW_MS + 25 * 137, 'and none is held back longer than that takes')
})

t.test(
  'when calls are short: urgent first, then endings by due time, then warnings, then sweeps',
  async (t) => {
    const clock = new ManualClock(0)
    const budget = budgetInMemory(clock, limits(1))
    await spend(budget, 1)
    const order: string[] = []
    const waiting = (
      [
        ['sweep', { rank: RANK.sweep, at: 0 }],
        ['warning', { rank: RANK.warning, at: 0 }],
        ['second', ending(20)],
        ['third', ending(20)],
        ['first', ending(10)],
        ['urgent', { rank: RANK.urgent, at: 99 }],
      ] as const
    ).map(async ([name, priority]) => {
      const permit = await budget.take(priority, NEVER)
      order.push(name)
      permit?.spend()
    })
    t.equal(budget.takeAtOnce(), undefined, 'nobody jumps the queue')
    for (let i = 0; i < 6; i += 1) {
      await clock.advance(WINDOW_MS)
      await turn()
    }
    await Promise.all(waiting)
    t.same(order, ['urgent', 'first', 'second', 'third', 'warning', 'sweep'])
  },
)

t.test('a pause holds everybody, is never shortened, and ends', async (t) => {
  const clock = new ManualClock(0)
  const budget = budgetInMemory(clock, limits(10))
  budget.pause(5000)
  budget.pause(2000)
  let granted = false
  const waiting = budget.take({ rank: RANK.urgent, at: 0 }, NEVER).then(() => {
    granted = true
  })
  await clock.advanceTo(4999)
  t.equal(granted, false)
  t.equal(budget.takeAtOnce(), undefined)
  budget.pause(6000)
  await clock.advanceTo(5999)
  t.equal(granted, false, 'a longer one holds those who already wait')
  await clock.advanceTo(6000)
  await waiting
  t.ok(await budget.take(ending(), NEVER))
})

t.test(
  'what somebody will want in a moment is at hand then, and goes back where nobody wants it',
  async (t) => {
    const clock = new ManualClock(0)
    const budget = budgetInMemory(clock, limits(100))
    t.equal(budget.takeAtOnce(), undefined)
    for (let i = 0; i < 10; i += 1) budget.prepare()
    await turn()
    const permits = Array.from({ length: 10 }, () => budget.takeAtOnce())
    t.equal(permits.filter((permit) => permit !== undefined).length, 4, 'a few of them')
    for (const permit of permits) permit?.giveBack()
    await clock.advance(1000)
    await turn()
    t.equal(budget.takeAtOnce(), undefined)
    t.equal(await budget.left(), 100)
  },
)

t.test('nothing is taken in the place of what is perhaps given back in a moment', async (t) => {
  const clock = new ManualClock(0)
  const { budget, source } = countedBudget(clock, limits(100))
  for (let i = 0; i < 40; i += 1) {
    await spend(budget, 1)
    await clock.advance(20)
  }
  const before = source.count
  // A claim with all that are at hand, of which it needs one; another call is made meanwhile.
  const rest: Permit[] = []
  for (let permit = budget.takeAtOnce(); permit; permit = budget.takeAtOnce()) rest.push(permit)
  t.ok(rest.length > 2)
  budget.lent += rest.length
  await turn()
  rest.shift()?.spend()
  await turn()
  t.equal(source.count, before)
  for (const permit of rest) permit.giveBack()
  budget.lent -= rest.length + 1
  await turn()
  t.equal(source.count, before, 'what came back is enough')
})

t.test('confirmations that wait for their part cost nothing with each call that leaves', async (t) => {
  const clock = new ManualClock(0)
  const { budget, source } = countedBudget(clock, limits(900))
  const stop = new AbortController()
  let confirmed = 0
  for (let i = 0; i < 500; i += 1)
    void budget.take({ rank: RANK.confirmation, at: 0 }, stop.signal).then((permit) => {
      if (permit?.spend()) confirmed += 1
    })
  for (let i = 0; i < 10; i += 1) await turn()
  t.equal(confirmed, 225, 'the others wait')
  for (let i = 0; i < 20; i += 1) {
    await spend(budget, 1)
    await clock.advance(10)
  }
  const before = source.writes
  for (let i = 0; i < 50; i += 1) {
    await spend(budget, 1)
    await clock.advance(10)
  }
  t.ok(
    source.writes - before <= 10,
    `${source.writes - before} writes for 50 calls, some taken ahead each time`,
  )
  stop.abort()
})

t.test('who gives up waiting takes nothing with it', async (t) => {
  const clock = new ManualClock(0)
  const budget = budgetInMemory(clock, limits(1))
  const held = (await budget.take(ending(), NEVER)) as Permit
  const impatient = new AbortController()
  const gone = budget.take(ending(), impatient.signal)
  const patient = budget.take(ending(), NEVER)
  impatient.abort()
  t.equal(await gone, undefined)
  held.giveBack()
  held.giveBack()
  t.ok(await patient)
  t.equal(await budget.left(), 0, 'given back once, however often it was said')
  t.equal(await budget.take(ending(), AbortSignal.abort()), undefined)
})

t.test('what was held for too long is not spent, and what is taken ahead is given back', async (t) => {
  const clock = new ManualClock(0)
  const budget = budgetInMemory(clock, limits(3))
  const late = (await budget.take(ending(), NEVER)) as Permit
  const inTime = (await budget.take(ending(), NEVER)) as Permit
  await clock.advance(HOLD_MS - 1)
  t.equal(inTime.spend(), true)
  t.equal(inTime.spend(), false, 'once')
  await clock.advance(1)
  t.equal(late.spend(), false)
  await turn()
  t.equal(await budget.left(), 2)
  await spend(budget, 2)
  await budget.close()
  t.equal(await budget.left(), 0)
})

t.test('a clock that is set back holds nobody for long', async (t) => {
  const manual = new ManualClock(3_600_000)
  let back = 0
  const clock = { now: () => manual.now() - back, sleep: manual.sleep.bind(manual) }
  const budget = budgetInMemory(clock, limits(1))
  await spend(budget, 1)
  back = 3_600_000
  budget.pause(3_600_000)
  const waiting = budget.take(ending(), NEVER)
  await turn()
  await manual.advance(600_000)
  await manual.advance(WINDOW_MS)
  t.ok(await waiting, 'a pause counts as ten minutes, and what was spent as spent now')
})
