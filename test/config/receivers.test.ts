import t from 'tap'
import { problems, REQUIRED, read } from './cases.ts'

const SECRET = `whsec_${'A+/9'.repeat(8)}`
const OTHER = `whsec_${'9/+A'.repeat(8)}`
const THIRD = `whsec_${'b+/9'.repeat(8)}`
const HIDDEN = 'https://sEcReT.example.org/path'

t.test('several callers, URLs with commas, and two secrets while rotating', async (t) => {
  const { receivers } = await read({
    API_KEYS: `${REQUIRED.API_KEYS},desk:another-key_0123456789ABC`,
    EVENT_SECRETS: `billing:${THIRD}`,
    NOTIFY_URLS: `booking:${HIDDEN}?a=1,2,desk:https://desk.example.org,billing:https://billing.example.org/`,
    NOTIFY_SECRETS: `desk:${SECRET},booking:${SECRET},booking:${OTHER},billing:${THIRD}`,
  })
  t.strictSame(receivers, [
    { caller: 'booking', url: `${HIDDEN}?a=1,2`, secrets: [SECRET, OTHER] },
    { caller: 'desk', url: 'https://desk.example.org', secrets: [SECRET] },
    { caller: 'billing', url: 'https://billing.example.org/', secrets: [THIRD] },
  ])
})

for (const [what, env, line] of [
  ['no secret', { NOTIFY_URLS: `booking:${HIDDEN}` }, /^NOTIFY_SECRETS must hold a secret for booking/],
  [
    'three secrets',
    {
      NOTIFY_URLS: `booking:${HIDDEN}`,
      NOTIFY_SECRETS: [SECRET, OTHER, THIRD].map((one) => `booking:${one}`).join(),
    },
    /^NOTIFY_SECRETS must hold at most 2 secrets for booking/,
  ],
  [
    'a name that has no key',
    { NOTIFY_URLS: `bookng:${HIDDEN}`, NOTIFY_SECRETS: `bookng:${SECRET}` },
    /^NOTIFY_URLS must use names that have a key or an event secret: bookng has none$/,
  ],
  [
    'the reserved name',
    { NOTIFY_URLS: `curfew:${HIDDEN}`, NOTIFY_SECRETS: `curfew:${SECRET}` },
    /^NOTIFY_URLS must not use the name curfew/,
  ],
  [
    'two URLs for one',
    { NOTIFY_URLS: `booking:${HIDDEN},booking:${HIDDEN}/2`, NOTIFY_SECRETS: `booking:${SECRET}` },
    /^NOTIFY_URLS must name one URL for booking$/,
  ],
  [
    'plain http to another machine',
    { NOTIFY_URLS: 'booking:http://sEcReT.example.org/', NOTIFY_SECRETS: `booking:${SECRET}` },
    /^NOTIFY_URLS must hold a URL that begins with https:\/\/ for booking \(.*NOTIFY_ALLOW_HTTP=true\)$/,
  ],
  [
    'no URL',
    { NOTIFY_URLS: 'booking:https://sEcReT:99999/', NOTIFY_SECRETS: `booking:${SECRET}` },
    /^NOTIFY_URLS must hold a URL such as https:\/\/booking.internal\/curfew for booking$/,
  ],
  [
    'a fragment',
    { NOTIFY_URLS: `booking:${HIDDEN}#x`, NOTIFY_SECRETS: `booking:${SECRET}` },
    /^NOTIFY_URLS must hold a URL without a fragment/,
  ],
] as const)
  t.test(`${what} is said in one line, without the URL`, async (t) => {
    const lines = await problems({ ...REQUIRED, ...env })
    t.equal(lines.length, 1)
    t.match(lines[0], line)
    t.notMatch(lines[0], 'sEcReT')
  })

t.test('plain http to another machine where that is allowed', async (t) => {
  const url = 'http://booking.internal:8080/curfew'
  const { receivers } = await read({
    NOTIFY_URLS: `booking:${url}`,
    NOTIFY_SECRETS: `booking:${SECRET}`,
    NOTIFY_ALLOW_HTTP: 'true',
  })
  t.strictSame(receivers, [{ caller: 'booking', url, secrets: [SECRET] }])
})
