import fc from 'fast-check'
import t from 'tap'
import { nextWarningAt, warningAfter, warningAt, warningText } from '../../src/time-limits/warnings.ts'

const MINUTE = 60_000
const DUE = Date.parse('2026-11-23T23:59:30Z')
/** That many minutes before the end. */
const before = (minutes: number) => DUE - minutes * MINUTE
const left = (time: number | null) => (time === null ? null : (DUE - time) / MINUTE)

// Minutes before the end: now, when the next warning is, which one is due now, and when the one after that is.
const CASES: [
  list: number[],
  now: number,
  next: number | null,
  due: [number, number] | null,
  after: number | null,
][] = [
  [[], 5, null, null, null],
  [[10, 2], 60, 10, null, 10],
  [[2, 10], 60, 10, null, 10],
  [[10, 2], 10.001, 10, null, 10],
  [[10, 2], 10, 10, [10, 10], 2],
  [[10, 2], 9.9, 9.9, [10, 10], 2],
  [[10, 2], 7.4, 7.4, [10, 7], 2],
  [[30, 20, 10], 7, 7, [10, 7], null],
  [[10, 2], 3, 3, [10, 3], 2],
  [[10, 2], 2.9, 2, null, 2],
  [[10, 2], 2, 2, [2, 2], null],
  [[10, 2], 1.5, 1.5, [2, 2], null],
  [[10, 2], 1.4, 1.4, [2, 1], null],
  [[10, 2], 0.5, 0.5, [2, 1], null],
  [[10, 2], 0.499, null, null, null],
  [[10, 2], 0, null, null, null],
  [[10, 2], -5, null, null, null],
  [[2, 1], 2, 2, [2, 2], 1],
  [[2, 1], 1.3, 1, null, 1],
  [[1440], 1440, 1440, [1440, 1440], null],
]

t.test('when to warn, and what of', async (t) => {
  for (const [list, now, next, due, after] of CASES) {
    const what = `[${list}], ${now} minutes before`
    t.equal(left(nextWarningAt(DUE, list, before(now))), next, `${what}: next`)
    const [minutes, toldMinutes] = due ?? []
    t.same(warningAt(DUE, list, before(now)), due ? { minutes, toldMinutes } : undefined, `${what}: due`)
    t.equal(left(warningAfter(DUE, list, before(now))), after, `${what}: after`)
  }
  const late = warningAt(DUE, [2, 1], before(2) + 20_000)
  t.same(late, { minutes: 2, toldMinutes: 2 }, 'a little late is not too late, though the next comes soon')
})

t.test('the text', async (t) => {
  const told = { minutes: 10, toldMinutes: 7 }
  t.equal(warningText('{minutes} min, {time}; {minutes}', told, DUE), '7 min, 23:59 UTC; 7')
  t.equal(warningText('{Minutes} { minutes } {{minutes}}', told, DUE), '{Minutes} { minutes } {7}')
  t.equal(warningText('$& $1', told, DUE), '$& $1')
  t.equal(warningText('{time}', told, DUE + 30_000), '00:00 UTC')
})

const lists = fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { maxLength: 10 })
/** Minutes before the end at which the ending is made, and how late (ms) each look at it is. */
const story = fc.record({
  list: lists,
  made: fc.integer({ min: -MINUTE, max: 40 * MINUTE }),
  delays: fc.array(
    fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 15 * MINUTE })),
  ),
})
type Story = { list: number[]; made: number; delays: number[] }

/** As the warner goes about it: looks when the next is due, or late, gives what is due, and sleeps until the one after. */
function told({ list, made, delays }: Story) {
  const given: { at: number; minutes: number; toldMinutes: number }[] = []
  let next = nextWarningAt(DUE, list, DUE - made)
  for (let look = 0; next !== null; look += 1) {
    const now: number = next + (delays[look] ?? 0)
    const warning = warningAt(DUE, list, now)
    if (warning) given.push({ at: now, ...warning })
    next = warningAfter(DUE, list, now)
  }
  return given
}

t.test('whenever an ending is made, and however late anybody looks', async (t) => {
  fc.assert(
    fc.property(story, (story) => {
      const given = told(story)
      const minutes = given.map((warning) => warning.minutes)
      if (new Set(minutes).size !== minutes.length) throw new Error('twice of the same')
      for (const [i, warning] of given.entries()) {
        const rest = (DUE - warning.at) / MINUTE
        if (!story.list.includes(warning.minutes)) throw new Error('of what nobody asked for')
        if (rest < 0.5) throw new Error('too late to be of use')
        if (rest > warning.minutes) throw new Error('too early')
        if (Math.abs(rest - warning.toldMinutes) > 0.5) throw new Error('the wrong minutes')
        const last = given[i - 1]
        if (last && (last.at >= warning.at || last.minutes <= warning.minutes))
          throw new Error('out of order')
      }
    }),
    { numRuns: 2000 },
  )
  t.pass('none twice, in order, the right minutes, none after the end')
})

t.test('on time, each is given that the ending was not made too late for', async (t) => {
  fc.assert(
    fc.property(lists, fc.integer({ min: 0, max: 40 * MINUTE }), (list, made) => {
      const given = told({ list, made, delays: [] })
      const inTime = list.filter((minutes) => minutes * MINUTE <= made).sort((a, b) => b - a)
      const onTime = given.filter(({ at, minutes }) => at === before(minutes)).map(({ minutes }) => minutes)
      return JSON.stringify(onTime) === JSON.stringify(inTime) && given.length <= inTime.length + 1
    }),
    { numRuns: 2000 },
  )
  t.pass('and at most one more, at once')
})
