import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parseRetryAfter, parseVendorTime, readPage, readSession } from '../../src/digital-samba/answers.ts'
import { oneYearAfter, parseDuration, parseTime } from '../../src/time.ts'

const AT = Date.parse('2024-03-27T08:15:36Z')
const SPELLINGS = ['2024-03-27 08:15:36', '2024-03-27T08:15:36Z', '2024-03-27T08:15:36.000000Z']

t.test('three spellings of one instant, wherever this runs', async (t) => {
  for (const text of SPELLINGS) t.equal(parseVendorTime(text), AT)
  const module = fileURLToPath(new URL('../../src/digital-samba/answers.ts', import.meta.url))
  const script = `const { parseVendorTime } = await import(${JSON.stringify(module)});
    console.log(${JSON.stringify(SPELLINGS)}.map(parseVendorTime).join())`
  for (const TZ of ['America/St_Johns', 'Asia/Kathmandu', 'Pacific/Apia']) {
    const args = ['--input-type=module', '-e', script]
    const said = execFileSync(process.execPath, args, { env: { ...process.env, TZ }, encoding: 'utf8' })
    t.equal(said.trim(), `${AT},${AT},${AT}`, TZ)
  }
  t.equal(parseVendorTime('yesterday'), undefined)
})

t.test('retry-after in seconds and as a date, read against the answer’s own clock', async (t) => {
  const date = 'Mon, 23 Nov 2026 12:00:00 GMT'
  const later = 'Mon, 23 Nov 2026 12:00:38 GMT'
  t.equal(parseRetryAfter({ 'retry-after': '38' }, 0), 38_000)
  t.equal(parseRetryAfter({ 'retry-after': later, date }, 0), 38_000)
  t.equal(parseRetryAfter({ 'retry-after': later }, Date.parse(date)), 38_000)
  t.equal(parseRetryAfter({ 'retry-after': date, date: later }, 0), 0)
  t.equal(parseRetryAfter({ 'retry-after': 'soon' }, 0), undefined)
  t.equal(parseRetryAfter({}, 0), undefined)
})

t.test('what is not as documented is not guessed at', async (t) => {
  const item = { id: 'A', start_time: '2024-03-27 08:15:36', live: true, room_external_id: null }
  t.same(readPage({ total_count: '1', data: [item, { ...item, live: false }] }), {
    size: 2,
    ids: ['a'],
    last: 'A',
    nameless: 0,
    sessions: [
      { id: 'a', startedAt: AT, roomId: null, friendlyUrl: null, externalId: null, participants: null },
    ],
  })
  for (const bad of [null, [], {}, { data: 5 }, { data: [null] }])
    t.throws(() => readPage(bad), { code: 'MALFORMED_ANSWER' })
  t.throws(() => readSession('a', { session_live: 'no' }), { code: 'MALFORMED_ANSWER' })
})

t.test('times and durations of callers', async (t) => {
  t.equal(parseTime('2024-03-27T10:15:36+02:00'), AT)
  t.equal(parseTime('2024-03-27t08:15:36.5z'), AT + 500)
  for (const bad of [
    '2024-03-27 08:15:36Z',
    '2024-02-30T00:00:00Z',
    '2023-02-29T00:00:00Z',
    '2024-03-27T08:15:36',
    '',
  ])
    t.equal(parseTime(bad), undefined, bad)
  t.same(['250ms', '5s', '10m', '6h', '5', '1d', ' 5s', '-1s'].map(parseDuration), [
    250,
    5000,
    600_000,
    21_600_000,
    undefined,
    undefined,
    undefined,
    undefined,
  ])
  t.equal(oneYearAfter(Date.parse('2028-02-29T12:00:00Z')), Date.parse('2029-03-01T12:00:00Z'))
})
