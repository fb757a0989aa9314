import t from 'tap'
import { newTraceparent, nextSpan, readTraceparent } from '../src/traceparent.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const CAME = `00-${TRACE}-${SPAN}-01`

t.test('what is taken as it came', async (t) => {
  for (const flags of ['00', '01', '02', '03'])
    t.equal(readTraceparent(`00-${TRACE}-${SPAN}-${flags}`), `00-${TRACE}-${SPAN}-${flags}`)
})

t.test('flags that mean nothing yet are not passed on', async (t) => {
  t.equal(readTraceparent(`00-${TRACE}-${SPAN}-ff`), `00-${TRACE}-${SPAN}-03`)
  t.equal(readTraceparent(`00-${TRACE}-${SPAN}-08`), `00-${TRACE}-${SPAN}-00`)
})

t.test('a later version is read as far as this one knows it', async (t) => {
  t.equal(readTraceparent(`cc-${TRACE}-${SPAN}-01`), CAME)
  t.equal(readTraceparent(`01-${TRACE}-${SPAN}-01-what-the-future-brings`), CAME)
})

t.test('what is none is ignored', async (t) => {
  const none = {
    'not a string': 7,
    nothing: undefined,
    null: null,
    twice: [CAME, CAME],
    'twice, as Node joins it': `${CAME}, ${CAME}`,
    empty: '',
    capitals: CAME.toUpperCase(),
    'a version that is forbidden': `ff-${TRACE}-${SPAN}-01`,
    'more than version 00 has': `${CAME}-more`,
    'more, without a dash': `01${CAME.slice(2)}more`,
    'no trace id': `00-${'0'.repeat(32)}-${SPAN}-01`,
    'no span id': `00-${TRACE}-${'0'.repeat(16)}-01`,
    'too short': CAME.slice(0, -1),
    'a digit that is none': CAME.replace('b7', 'g7'),
    'blanks around it': ` ${CAME} `,
    'a line behind it': `${CAME}\n`,
  }
  for (const [what, given] of Object.entries(none)) t.equal(readTraceparent(given), undefined, what)
})

t.test('a new one is valid, not sampled, and like no other', async (t) => {
  const made = Array.from({ length: 2000 }, newTraceparent)
  for (const one of made) if (readTraceparent(one) !== one || !one.endsWith('-00')) t.fail(one)
  t.equal(new Set(made.map((one) => one.slice(3, 35))).size, 2000)
  t.equal(new Set(made.map((one) => one.slice(36, 52))).size, 2000)
})

t.test('the next span is of the same trace, with the same flags, and like no other', async (t) => {
  const spans = Array.from({ length: 2000 }, () => nextSpan(CAME))
  for (const one of spans)
    if (readTraceparent(one) !== one || !one.startsWith(`00-${TRACE}-`) || !one.endsWith('-01')) t.fail(one)
  t.equal(new Set([...spans, CAME]).size, 2001)
})
