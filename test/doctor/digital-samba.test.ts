import t from 'tap'
import { shiftedClock, systemClock } from '../../src/clock.ts'
import { CLOCK_OFFSET, goodHook, practice } from './consult.ts'

// Each waits for processes and for nothing else.
t.jobs = 2
const AT_ONCE = { buffered: true }

t.test('all is well', AT_ONCE, async (t) => {
  const { sandbox, consult } = await practice(t)
  sandbox.createWebhook(goodHook())
  const [text, json] = await Promise.all([consult(), consult({ args: ['--json'] })])
  for (const { code, stderr, verdicts } of [text, json]) {
    t.equal(code, 0)
    t.equal(stderr, '')
    for (const part of ['configuration', 'database', 'digital-samba', 'webhook', 'endings'] as const) {
      t.ok(verdicts(part).length > 0, part)
      t.same(new Set(verdicts(part)), new Set(['ok']), part)
    }
  }
  t.match(text.stdout, /\n\nAll is well\.\n$/)
  t.equal(JSON.parse(json.stdout).ok, true)
  const plain = ({ findings }: typeof text) =>
    findings.map(({ says, ...rest }) => [rest.part, rest.verdict, says.replace(/-?[\d.]+ (ms|s)\b.*/, '')])
  t.same(plain(text), plain(json), 'both say the same')
  t.match(text.of('digital-samba'), [/answers/, /accepted \(DIGITAL_SAMBA_AUTH=basic\)/, /clock is .* its/])
})

t.test('nothing is running', AT_ONCE, async (t) => {
  const { sandbox, consult } = await practice(t)
  await sandbox.close()
  const { code, of } = await consult()
  t.equal(code, 1)
  t.match(of('digital-samba'), [
    /^wrong: http:\S+ cannot be reached: no answer: ECONNREFUSED → look at DIGITAL_SAMBA_URL/,
  ])
  t.match(of('webhook'), [/^skipped: not looked at/])
  t.match(of('endings'), [/^ok/, /^ok/, /^ok/], 'the rest is looked at all the same')
})

t.test('a wrong key', AT_ONCE, async (t) => {
  const { sandbox, consult } = await practice(t)
  const { code, of } = await consult({
    env: { DIGITAL_SAMBA_DEVELOPER_KEY: 'sEcReT-other' },
    args: ['--fix-webhook', goodHook().endpoint],
  })
  t.equal(code, 1)
  t.match(
    of('digital-samba')[1],
    /^wrong: the credentials are refused \(401\), in all three documented forms → copy/,
  )
  t.match(of('webhook'), [/^wrong: nothing was made or mended/])
  t.equal(sandbox.calls.length, 3)
})

t.test('the right key in the wrong form', AT_ONCE, async (t) => {
  const { sandbox, consult, ask } = await practice(t)
  sandbox.configure({ forms: ['bearer'] })
  const { code, of } = await consult()
  t.equal(code, 1)
  const wanted = (set: string, accepted: string) =>
    `wrong: the credentials are refused as DIGITAL_SAMBA_AUTH=${set} (401), and accepted as ${accepted} → set DIGITAL_SAMBA_AUTH=${accepted}, and restart`
  t.equal(of('digital-samba')[1], wanted('basic', 'bearer'))
  for (const [set, accepted] of [
    ['bearer', 'bearer-team'],
    ['bearer-team', 'basic'],
    ['basic', 'bearer-team'],
  ] as const) {
    sandbox.configure({ forms: [accepted] })
    const refused = await ask({ env: { DIGITAL_SAMBA_AUTH: set } })
    t.equal(refused.of('digital-samba')[1], wanted(set, accepted))
    const mended = await ask({ env: { DIGITAL_SAMBA_AUTH: accepted } })
    t.match(mended.of('digital-samba')[1], /^ok/, 'and then it is well')
  }
})

t.test('a clock that is 90 s off', AT_ONCE, async (t) => {
  const { sandbox, consult } = await practice(t)
  sandbox.createWebhook(goodHook())
  const { code, findings, of } = await consult({
    node: ['--import', CLOCK_OFFSET],
    env: { CLOCK_OFFSET_MS: '90000' },
    args: ['--json'],
  })
  t.equal(code, 1)
  t.match(
    of('digital-samba')[2],
    /^wrong: this machine's clock is \d+\.\d s ahead of its → set this machine's clock/,
  )
  const measured = findings.find(({ part, values }) => part === 'digital-samba' && values)?.values?.offsetMs
  t.ok(Math.abs(Number(measured) - 90_000) < 2500, `${measured} ms`)
})

t.test('clocks that are less off, or behind', AT_ONCE, async (t) => {
  const { ask } = await practice(t)
  for (const [offset, wanted] of [
    [-90_000, /^wrong: .* behind its →/],
    [30_000, /^warning: .* ahead of its →/],
    [-30_000, /^warning: .* behind its →/],
    [0, /^ok/],
  ] as const)
    t.match((await ask({ clock: shiftedClock(systemClock, () => offset) })).of('digital-samba')[2], wanted)
})

for (const [what, fault, wanted] of [
  ['out of order', { kind: 'status', status: 503 }, /^wrong: it is out of order \(503\)/],
  ['a key with few rights', { kind: 'status', status: 403 }, /^wrong: .*may not list sessions/],
  [
    'a login page',
    { kind: 'html', status: 200 },
    /^wrong: .*not answer like Digital Samba's API → correct DIG/,
  ],
  ['a redirect', { kind: 'redirect' }, /^wrong: what answers \(30\d\)/],
  ['used up', { kind: 'status', status: 429 }, /^warning: the team's calls are used up/],
] as const)
  t.test(what, AT_ONCE, async (t) => {
    const { sandbox, ask } = await practice(t)
    sandbox.inject(fault)
    t.match((await ask()).of('digital-samba')[1], wanted)
  })

t.test('whatever hangs, it ends within some seconds', AT_ONCE, async (t) => {
  const { sandbox, consult } = await practice(t)
  sandbox.inject({ kind: 'hang', times: Number.POSITIVE_INFINITY })
  const began = process.hrtime.bigint()
  const { code, of } = await consult()
  t.equal(code, 1)
  t.match(of('digital-samba'), [/cannot be reached: no answer in time/])
  t.ok(Number(process.hrtime.bigint() - began) / 1e9 < 25)
})
