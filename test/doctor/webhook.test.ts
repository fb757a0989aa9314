import t from 'tap'
import { goodHook, HOOK, practice, SECRET } from './consult.ts'

t.jobs = 2
const AT_ONCE = { buffered: true }
const MENDED = { ...goodHook(), name: 'Curfew' }

for (const [what, hook, args, wanted] of [
  [
    'missing',
    undefined,
    [],
    /^wrong: there is none: .* → npm run doctor -- --fix-webhook https:\/\/HOST\/v1\/webhooks/,
  ],
  [
    'missing, and it is known where',
    undefined,
    ['--webhook-url', HOOK],
    new RegExp(`--fix-webhook ${HOOK}$`),
  ],
  [
    "another Curfew's",
    goodHook({ authorizationHeader: 'sEcReT-of-the-other-one', endpoint: HOOK.replace('curfew', 'other') }),
    [],
    /^wrong: there is none with this secret; others are sent to https:\/\/other\.example\.org\/v1/,
  ],
  [
    'at the wrong URL',
    goodHook({ endpoint: HOOK.replace('curfew', 'old') }),
    ['--webhook-url', HOOK],
    new RegExp(
      `^wrong: it is sent to https://old.example.org/v1/webhooks/digital-samba, not to ${HOOK} → .*${HOOK}$`,
    ),
  ],
  [
    'at a URL that is no path of Curfew',
    goodHook({ endpoint: 'https://curfew.example.org/webhooks?key=sEcReT' }),
    [],
    /^wrong: it is sent to https:\/\/curfew\.example\.org\/webhooks, which does not end in \/v1/,
  ],
  [
    'for the wrong events',
    goodHook({ events: ['session_started'] }),
    [],
    /^wrong: it is not sent for session_ended →/,
  ],
  [
    'for no event of use',
    goodHook({ events: ['room_deleted'] }),
    [],
    /for session_started and session_ended →/,
  ],
  [
    'with another secret',
    goodHook({ authorizationHeader: 'sEcReT-of-before' }),
    ['--webhook-url', HOOK],
    /^wrong: .* carries another secret than DIGITAL_SAMBA_WEBHOOK_SECRET, and is refused/,
  ],
  [
    'with no secret',
    goodHook({ authorizationHeader: null }),
    ['--webhook-url', HOOK],
    /^wrong: .* another secret/,
  ],
  [
    'as it should be',
    goodHook(),
    ['--webhook-url', HOOK],
    new RegExp(`^ok: it is sent to ${HOOK}, for session_`),
  ],
  [
    'with Bearer in its value',
    goodHook({ authorizationHeader: `Bearer ${SECRET}` }),
    [],
    /^ok: it is sent to .* \(--webhook-url URL compares it\)/,
  ],
] as const)
  t.test(`a webhook ${what}`, AT_ONCE, async (t) => {
    const { sandbox, ask } = await practice(t)
    if (hook) sandbox.createWebhook(hook)
    t.match((await ask({ wish: { url: args[1] } })).of('webhook'), [wanted])
    const methods = new Set(sandbox.calls.map(({ method }) => method))
    t.same(methods, new Set(['GET']), 'nothing is changed')
  })

t.test('the wrong URL and the wrong events, as a process', AT_ONCE, async (t) => {
  const { sandbox, consult } = await practice(t)
  sandbox.createWebhook(goodHook({ endpoint: HOOK.replace('curfew', 'old'), events: ['session_ended'] }))
  const { code, of } = await consult({ args: ['--webhook-url', HOOK, '--json'] })
  t.equal(code, 1)
  t.match(of('webhook'), [/^wrong: it is sent to .*, not to/, /^wrong: it is not sent for session_started/])
})

t.test('none, as a process', AT_ONCE, async (t) => {
  const { consult } = await practice(t)
  const { code, of } = await consult()
  t.equal(code, 1)
  t.match(of('webhook'), [/^wrong: there is none/])
})

for (const [what, hooks] of [
  ['makes it', []],
  ['mends its URL', [goodHook({ endpoint: HOOK.replace('curfew', 'old') })]],
  ['mends its secret', [goodHook({ authorizationHeader: 'sEcReT-of-before' })]],
  ['mends all of it', [goodHook({ endpoint: 'https://old.example.org/x', events: ['session_ended'] })]],
] as const)
  t.test(`--fix-webhook ${what}`, AT_ONCE, async (t) => {
    const { sandbox, consult, ask } = await practice(t)
    for (const hook of hooks) sandbox.createWebhook(hook)
    const { code, of } = await consult({ args: ['--fix-webhook', HOOK] })
    t.equal(code, 0)
    t.match(of('webhook'), [
      new RegExp(`^ok: ${hooks.length > 0 ? 'mended' : 'made'}: it is sent to ${HOOK}, for`),
    ])
    const listed = await webhooksOf(sandbox.url)
    t.match(listed, [{ endpoint: HOOK, authorization_header: SECRET }])
    t.equal(listed.length, 1, 'and no second one')
    t.same(new Set(listed[0]?.events), new Set(MENDED.events))
    const again = await ask({ wish: { url: HOOK, fix: true } })
    t.match(again.of('webhook'), [/^ok: nothing to mend/])
    t.equal(sandbox.calls.filter(({ method }) => method !== 'GET').length, 1, 'one call changed something')
    t.match((await ask({ wish: { url: HOOK } })).of('webhook'), [/^ok/])
  })

t.test("--fix-webhook leaves other people's alone, and what ours is sent for besides", AT_ONCE, async (t) => {
  const { sandbox, ask } = await practice(t)
  const other = goodHook({
    endpoint: HOOK.replace('curfew', 'staging'),
    authorizationHeader: 'sEcReT-of-staging',
  })
  const foreign = goodHook({ endpoint: 'https://crm.example.org/hook', authorizationHeader: 'sEcReT-of-crm' })
  for (const hook of [other, foreign]) sandbox.createWebhook(hook)
  // More than a page of them: ours is on the second.
  for (let i = 0; i < 100; i += 1)
    sandbox.createWebhook({ ...foreign, endpoint: `https://crm.example.org/${i}` })
  sandbox.createWebhook(goodHook({ events: ['participant_joined', 'session_started'] }))
  const { of } = await ask({ wish: { url: HOOK, fix: true } })
  t.match(of('webhook'), [/^ok: mended/, /^warning: another one is sent to https:\/\/staging\.example/])
  const listed = await webhooksOf(sandbox.url)
  t.equal(listed.length, 2)
  t.match(listed[1], { endpoint: HOOK, events: ['participant_joined', 'session_started', 'session_ended'] })
  t.match(listed[0], {
    endpoint: other.endpoint,
    authorization_header: 'sEcReT-of-staging',
    events: other.events,
  })
})

t.test('where none is taken', AT_ONCE, async (t) => {
  const { sandbox, ask } = await practice(t)
  const env = { DIGITAL_SAMBA_WEBHOOK_SECRET: '' }
  const none = await ask({ env })
  t.match(none.of('webhook'), [/^skipped: none is taken: DIGITAL_SAMBA_WEBHOOK_SECRET is not set/])
  const fix = await ask({ env, wish: { url: HOOK, fix: true } })
  t.match(fix.of('webhook'), [/^wrong: nothing was made: DIGITAL_SAMBA_WEBHOOK_SECRET is not set/])
  sandbox.createWebhook(goodHook())
  const there = await ask({ env })
  t.match(there.of('webhook'), [/^wrong: one is sent to \S+, but DIGITAL_SAMBA_WEBHOOK_SECRET is not set/])
})

t.test('Digital Samba does not do it', AT_ONCE, async (t) => {
  const { sandbox, ask } = await practice(t)
  sandbox.inject({
    kind: 'status',
    status: 500,
    operation: 'webhooks',
    method: 'POST',
    body: { message: 'no' },
  })
  const { of } = await ask({ wish: { url: HOOK, fix: true } })
  t.match(of('webhook'), [/^wrong: Digital Samba's webhooks: making the webhook was answered 500: no/])
})

t.test('not called right', AT_ONCE, async (t) => {
  const { sandbox, consult } = await practice(t)
  for (const [args, why] of [
    [['--nonsense'], /Unknown option/],
    [['now'], /Unexpected argument/],
    [['--fix-webhook'], /argument missing/],
    [['--fix-webhook', 'curfew.example.org'], /must be a URL/],
    [['--fix-webhook', 'https://curfew.example.org/'], /must end in \/v1\/webhooks\/digital-samba/],
    [['--fix-webhook', HOOK.replace('https', 'http')], /must begin with https/],
    [['--fix-webhook', HOOK.replace('//', '//a:b@')], /no credentials/],
    [['--fix-webhook', HOOK.replace('curfew', 'c'.repeat(60))], /longer than 100/],
    [['--fix-webhook', HOOK, '--webhook-url', HOOK], /one of/],
  ] as const) {
    const { code, stdout, stderr } = await consult({ args: [...args] })
    t.equal(code, 2)
    t.equal(stdout, '')
    t.match(stderr, why)
  }
  t.same(sandbox.calls, [])
})

interface Told {
  id: string
  endpoint: string
  events: string[]
  authorization_header: string
}

/** All but the many of somebody else, the oldest first. */
async function webhooksOf(url: string): Promise<Told[]> {
  const headers = { authorization: 'Bearer sEcReT-developer-key-0123' }
  const get = async <T>(path: string): Promise<T> =>
    (await fetch(`${url}/api/v1/webhooks${path}`, { headers })).json() as Promise<T>
  const pages = await Promise.all(['?order=asc', '?order=asc&offset=100'].map(get<{ data: Told[] }>))
  const wanted = pages.flatMap(({ data }) => data).filter(({ endpoint }) => !/crm\.example/.test(endpoint))
  return Promise.all(wanted.map(({ id }) => get<Told>(`/${id}`)))
}
