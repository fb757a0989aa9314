import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { formatTime, oneYearAfter, parseDuration, parseTime } from '../src/time.ts'

const GOOD: [string, string][] = [
  ['2026-11-23T15:00:00Z', '2026-11-23T15:00:00.000Z'],
  ['2026-11-23t15:00:00z', '2026-11-23T15:00:00.000Z'],
  ['2026-11-23T15:00:00+00:00', '2026-11-23T15:00:00.000Z'],
  ['2026-11-23T15:00:00-00:00', '2026-11-23T15:00:00.000Z'],
  ['2026-11-23T15:00:00+05:45', '2026-11-23T09:15:00.000Z'],
  ['2026-11-23T15:00:00-03:30', '2026-11-23T18:30:00.000Z'],
  ['2026-12-31T23:59:59-23:59', '2027-01-01T23:58:59.000Z'],
  ['2026-11-23T15:00:00.1Z', '2026-11-23T15:00:00.100Z'],
  ['2026-11-23T15:00:00.057Z', '2026-11-23T15:00:00.057Z'],
  ['2026-11-23T15:00:00.999999Z', '2026-11-23T15:00:00.999Z'],
  ['2026-11-23T15:00:00.123456789Z', '2026-11-23T15:00:00.123Z'],
  ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
  ['2000-02-29T00:00:00Z', '2000-02-29T00:00:00.000Z'],
  ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
  ['9999-12-31T23:59:59Z', '9999-12-31T23:59:59.000Z'],
]
for (const [text, expected] of GOOD)
  t.equal(new Date(parseTime(text) as number).toISOString(), expected, `${text} is a time`)

const BAD = [
  '',
  'now',
  '2026-11-23',
  '2026-11-23T15:00:00',
  '2026-11-23 15:00:00Z',
  '2026-11-23T15:00Z',
  '2026-11-23T15:00:00+0100',
  '2026-11-23T15:00:00+01',
  '2026-11-23T15:00:00+24:00',
  '2026-11-23T15:00:00+01:60',
  '2026-11-23T15:00:00.Z',
  '2026-11-23T15:00:00,5Z',
  '2026-11-23T24:00:00Z',
  '2026-11-23T15:60:00Z',
  '2026-11-23T15:00:61Z',
  '2026-00-10T15:00:00Z',
  '2026-13-10T15:00:00Z',
  '2026-11-00T15:00:00Z',
  '2026-11-31T15:00:00Z',
  '2026-02-29T15:00:00Z',
  '2026-02-30T15:00:00Z',
  '2100-02-29T15:00:00Z',
  '26-11-23T15:00:00Z',
  '+002026-11-23T15:00:00Z',
  '-2026-11-23T15:00:00Z',
  ' 2026-11-23T15:00:00Z',
  '2026-11-23T15:00:00Z\n',
  '2026-11-23T15:00:00ZZ',
  '2026-W48-1T15:00:00Z',
  '1795480378248',
  'Mon, 23 Nov 2026 15:00:00 GMT',
  '２026-11-23T15:00:00Z',
]
for (const text of BAD) t.equal(parseTime(text), undefined, `${JSON.stringify(text)} is none`)

const instant = fc.integer({
  min: Date.parse('0001-01-02T00:00:00Z'),
  max: Date.parse('9999-12-30T00:00:00Z'),
})

t.test('reading what was written gives the same instant', async () => {
  fc.assert(
    fc.property(
      instant,
      (at) => parseTime(new Date(at).toISOString()) === at && parseTime(formatTime(at)) === at,
    ),
    { seed: 1, numRuns: 2000 },
  )
})

t.test('an offset means what Date.parse takes it for', async () => {
  const two = (n: number) => String(n).padStart(2, '0')
  const zone = fc
    .tuple(fc.constantFrom('+', '-'), fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
    .map(([sign, hours, minutes]) => `${sign}${two(hours)}:${two(minutes)}`)
  fc.assert(
    fc.property(instant, zone, (at, offset) => {
      const text = new Date(at).toISOString().replace('Z', offset)
      return parseTime(text) === Date.parse(text)
    }),
    { seed: 2, numRuns: 2000 },
  )
})

t.test('whatever is sent, the answer is a whole number or undefined', async () => {
  const nearly = fc.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/)
  fc.assert(
    fc.property(fc.oneof(fc.string(), nearly), (text) => {
      const at = parseTime(text)
      return at === undefined || Number.isSafeInteger(at)
    }),
    { seed: 3, numRuns: 2000 },
  )
})

for (const [text, ms] of [
  ['0s', 0],
  ['250ms', 250],
  ['5s', 5000],
  ['10m', 600_000],
  ['6h', 21_600_000],
  ['007s', 7000],
  ['999999999ms', 999_999_999],
] as const)
  t.equal(parseDuration(text), ms, text)
for (const text of [
  '',
  '5',
  's',
  '-5s',
  '+5s',
  '1.5h',
  '5 s',
  '5S',
  '1d',
  '5s ',
  '5s\n',
  '1h30m',
  '1e3s',
  '9999999999s',
])
  t.equal(parseDuration(text), undefined, JSON.stringify(text))

for (const [from, to] of [
  ['2026-11-23T12:34:56.789Z', '2027-11-23T12:34:56.789Z'],
  ['2024-02-29T12:00:00.000Z', '2025-03-01T12:00:00.000Z'],
  ['2023-02-28T23:59:59.999Z', '2024-02-28T23:59:59.999Z'],
  ['2023-12-31T00:00:00.000Z', '2024-12-31T00:00:00.000Z'],
] as const)
  t.equal(formatTime(oneYearAfter(Date.parse(from))), to, `a year after ${from}`)

const run = promisify(execFile)
const script = `
import { oneYearAfter, parseTime } from ${JSON.stringify(new URL('../src/time.ts', import.meta.url).href)}
import { parseRetryAfter, parseVendorTime } from ${JSON.stringify(new URL('../src/digital-samba/answers.ts', import.meta.url).href)}
const read = ['2024-03-27 08:15:36', '2024-03-27T08:15:36Z', '2024-03-27T08:15:36.000000Z'].map(parseVendorTime)
const headers = { 'retry-after': 'Wed, 27 Mar 2024 08:16:06 GMT', date: 'Wed, 27 Mar 2024 08:15:36 GMT' }
console.log(JSON.stringify([new Date(0).getTimezoneOffset() !== 0, read, parseTime('2024-03-27T08:15:36+01:00'),
  parseRetryAfter(headers, 0), oneYearAfter(Date.UTC(2024, 1, 29))]))`
for (const TZ of ['America/St_Johns', 'Asia/Kathmandu', 'Pacific/Apia'])
  t.test(`the same instants where the clock on the wall is that of ${TZ}`, async (t) => {
    const { PATH } = process.env
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
      env: { PATH, TZ },
    })
    const at = Date.UTC(2024, 2, 27, 8, 15, 36)
    const expected = [true, [at, at, at], at - 3_600_000, 30_000, Date.UTC(2025, 2, 1)]
    t.same(JSON.parse(stdout), expected)
  })
