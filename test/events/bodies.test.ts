import t from 'tap'
import type { ProblemCode } from '../../src/problem.ts'
import { isProblem } from '../routes/problems.ts'
import { contents } from './contents.ts'
import { answersOf, BATCHED, event, post, STRUCTURED, statusesOf } from './messages.ts'
import { good, ROOM, startRefusing } from './refusals.ts'

const JSON_TYPE = 'application/json'
const BINARY = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/shop', 'ce-type': 'tea.served' }
const ONE = JSON.stringify(good())
const FORMS: [form: string, type: string, headers: Record<string, string>][] = [
  ['structured', STRUCTURED, {}],
  ['batched', BATCHED, {}],
  ['plain', JSON_TYPE, {}],
  ['binary', JSON_TYPE, BINARY],
]

/** Bodies that are refused before anything in them is looked at, in whichever form they come. */
const BODIES: [what: string, body: string][] = [
  ['nothing', ''],
  ['blanks', ' '],
  ['a form', 'specversion=1.0'],
  ['half an event', ONE.slice(0, -1)],
  ['two events', `${ONE}${ONE}`],
  ['a comma too many', `[${ONE},]`],
  ['NaN', '{"specversion":NaN}'],
  ['a __proto__', '{"__proto__":{"specversion":"1.0"}}'],
  ['an escaped __proto__', '{"\\u005f_proto__":{}}'],
  ['a __proto__ in data', `{"data":{"__proto__":{"roomId":"${ROOM}"}}}`],
  ['a __proto__ in a batch', `[${ONE},{"data":[{"__proto__":null}]}]`],
  ['a constructor.prototype', '{"data":{"constructor":{"prototype":{}}}}'],
]

const WRONG_TYPES: [what: string, type: string, headers?: Record<string, string>][] = [
  ['no type', ''],
  ['text', 'text/plain'],
  ['a form', 'application/x-www-form-urlencoded'],
  ['an event in XML', 'application/cloudevents+xml'],
  ['another JSON', 'application/merge-patch+json'],
  ['events in no format', 'application/cloudevents'],
  ['something like it', 'application/cloudevents+json-seq'],
  ['a type of nonsense', ';;;'],
  ['binary mode with text', 'text/plain', BINARY],
]

t.test('a body that cannot be understood is refused with the status that says why', async (t) => {
  const scene = await startRefusing(t)
  const before = await contents(scene.databaseUrl)
  const isRefused = async (
    name: string,
    status: number,
    code: ProblemCode,
    send: () => ReturnType<typeof post>,
  ) =>
    t.test(name, async (t) => {
      isProblem(t, await send(), status, code)
      t.same(await contents(scene.databaseUrl), before, 'the ledger is as it was')
    })
  for (const [form, type, headers] of FORMS) {
    for (const [what, body] of BODIES)
      await isRefused(`${form}: ${what}`, 400, 'bad-request', () => post(scene, body, { type, headers }))
    const large = `${ONE}${' '.repeat(1024 * 1024 - ONE.length + 1)}`
    await isRefused(`${form}: a byte more than 1 MiB`, 413, 'body-too-large', () =>
      post(scene, large, { type, headers }),
    )
  }
  for (const [what, type, headers = {}] of WRONG_TYPES)
    await isRefused(what, 415, 'unsupported-media-type', () => post(scene, ONE, { type, headers }))
})

t.test('a batch is a list of at most a thousand events', async (t) => {
  const scene = await startRefusing(t)
  const before = await contents(scene.databaseUrl)
  for (const body of ['null', '7', '"text"', '{}', ONE])
    isProblem(t, await post(scene, body, { type: BATCHED }), 422, 'invalid', [''])
  const many = Array.from({ length: 1001 }, () => event('tea.served', null))
  isProblem(t, await post(scene, many), 422, 'invalid', [''])
  const empty = await post(scene, [])
  t.equal(empty.statusCode, 202)
  t.same(empty.json(), { events: [] })
  const ignored = statusesOf(await post(scene, many.slice(1)))
  t.same(ignored, Array(1000).fill('ignored'))
  t.same(await contents(scene.databaseUrl), before, 'none of these left anything')
})

t.test('a batch of 900 KiB is accepted, and is as large as it may be at 1 MiB', async (t) => {
  const scene = await startRefusing(t)
  const before = await contents(scene.databaseUrl)
  const suspension = (i: number) =>
    event(
      'billing.suspended',
      { account: `account-${i}`, targets: [{ roomId: ROOM }], graceSeconds: 60 },
      { note: 'x'.repeat(1500) },
    )
  const large = JSON.stringify(Array.from({ length: 550 }, (_, i) => suspension(i)))
  t.ok(large.length > 900 * 1024 && large.length < 1024 * 1024, `${large.length} bytes`)
  t.same(statusesOf(await post(scene, large, { type: BATCHED })), Array(550).fill('accepted'))
  const after = await contents(scene.databaseUrl)
  t.equal(after.endings.length, before.endings.length + 550)
  t.equal(after.subjects.length, before.subjects.length + 550)
  const padded = large.padEnd(1024 * 1024)
  t.same(statusesOf(await post(scene, padded, { type: BATCHED })), Array(550).fill('duplicate'))
  t.same(await contents(scene.databaseUrl), after)
})

t.test('a batch in which all is wrong is told of its first twenty mistakes', async (t) => {
  const scene = await startRefusing(t)
  const before = await contents(scene.databaseUrl)
  const wrong = Array.from({ length: 1000 }, () => good({ source: '' }))
  const first = Array.from({ length: 20 }, (_, i) => `/${i}/source`)
  const { detail } = isProblem(t, await post(scene, wrong), 422, 'invalid', first)
  t.match(detail, /and at least 20 more/)
  t.same(await contents(scene.databaseUrl), before)
})

t.test('a known type with a prefix is known, and what only looks like one is ignored', async (t) => {
  const scene = await startRefusing(t)
  const types = {
    'com.example.time_limit.reached': 'accepted',
    'time_limit.reached': 'accepted',
    'time_limit.reached.v2': 'ignored',
    'xtime_limit.reached': 'ignored',
    'Time_limit.reached': 'ignored',
    'com.example.reached': 'ignored',
    'com..time_limit.reached': 'ignored',
    '.time_limit.reached': 'ignored',
    'tea.served': 'ignored',
    constructor: 'ignored',
    'constructor.constructor': 'ignored',
  }
  const events = Object.keys(types).map((type) => event(type, { roomId: ROOM }))
  const answers = answersOf(await post(scene, events))
  t.same(Object.fromEntries(answers.map(({ type, status }) => [type, status])), types)
  t.same(
    answers.map(({ id }) => id),
    events.map(({ id }) => id),
    'in their order',
  )
})
