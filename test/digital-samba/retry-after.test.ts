import t from 'tap'
import { parseRetryAfter } from '../../src/digital-samba/answers.ts'

const NOW = Date.parse('2026-11-23T12:00:00Z')
const LATER = 'Mon, 23 Nov 2026 12:00:38 GMT'

const cases: [string, Record<string, unknown>, number | undefined][] = [
  ['seconds', { 'retry-after': '38' }, 38_000],
  ['none at all', { 'retry-after': '0' }, 0],
  ['fractions, rounded up', { 'retry-after': '1.0001' }, 1001],
  ['space around it', { 'retry-after': ' 38 ' }, 38_000],
  ['the most there can be', { 'retry-after': '999999999' }, 999_999_999_000],
  ['a date, by our clock', { 'retry-after': LATER }, 38_000],
  ['a date, by theirs', { 'retry-after': LATER, date: 'Mon, 23 Nov 2026 12:00:30 GMT' }, 8000],
  [
    'a date, by theirs that is wrong by a year',
    { 'retry-after': LATER, date: 'Sun, 23 Nov 2025 12:00:38 GMT' },
    31_536_000_000,
  ],
  ['a date, beside one that is none', { 'retry-after': LATER, date: 'nonsense' }, 38_000],
  ['a date that is past', { 'retry-after': 'Mon, 23 Nov 2026 11:00:00 GMT' }, 0],
  ['a date in the older form', { 'retry-after': 'Monday, 23-Nov-26 12:00:38 GMT' }, 38_000],
  ['no header', {}, undefined],
  ['an empty one', { 'retry-after': '' }, undefined],
  ['words', { 'retry-after': 'soon' }, undefined],
  ['a number with a unit', { 'retry-after': '38 seconds' }, undefined],
  ['two numbers', { 'retry-after': '38, 38' }, undefined],
  ['hexadecimal', { 'retry-after': '0x10' }, undefined],
  ['an exponent', { 'retry-after': '1e3' }, undefined],
  ['more digits than make sense', { 'retry-after': '99999999999' }, undefined],
]
for (const [what, headers, expected] of cases) t.equal(parseRetryAfter(headers, NOW), expected, what)
