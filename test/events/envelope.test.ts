import t from 'tap'
import { event, type Fields, post, postBinary, statusesOf } from './messages.ts'
import { areRefused, areRefusedInBinary, good, type Refusal, startRefusing } from './refusals.ts'

const without = (name: string): Fields => {
  const { [name]: _, ...rest } = good()
  return rest
}
const long = (length: number) => 'x'.repeat(length)

/** Values that no attribute of these can have, and ones that every attribute takes for missing. */
const NO_STRING = [7, true, [], {}, ['x']]
const REQUIRED = ['specversion', 'id', 'source', 'type']
const OPTIONAL = ['time', 'subject', 'dataschema', 'datacontenttype']

/** Strings that an attribute must not be; these can stand in headers, too. */
const BAD_STRINGS: Record<string, string[]> = {
  specversion: ['', '7', '0.3', '1', '1.0.2', 'v1.0'],
  id: ['', long(201)],
  source: ['', long(501), '/a shop'],
  type: ['', long(201)],
  subject: ['', long(501)],
  dataschema: ['', long(501)],
  time: ['', 'now', '2026-11-23', '2026-11-23T12:00:00', '2026-02-30T12:00:00Z', '2026-11-23 12:00:00Z'],
}
const UNPRINTABLE = ['a\u0000', 'a\nb', '\u0085', 'a\ud800']
const NOT_JSON = ['', 'json', 'text/plain', 'application/xml', 'application/octet-stream']

const NAMES = ['Traceparent', 'trace_parent', 'trace-parent', 'tracé', '', long(51), 'data_base64', 'a.b']
const NO_EXTENSION = [1.5, [], {}, ['x']]

const badStrings: Refusal[] = Object.entries(BAD_STRINGS).flatMap(([name, values]) =>
  values.map((value): Refusal => [`${name} ${value.slice(0, 30)}`, good({ [name]: value }), [`/${name}`]]),
)
const envelopes: Refusal[] = [
  ...REQUIRED.flatMap((name): Refusal[] => [
    [`no ${name}`, without(name), [`/${name}`]],
    [`${name} null`, good({ [name]: null }), [`/${name}`]],
  ]),
  ...[...REQUIRED, ...OPTIONAL].flatMap((name) =>
    NO_STRING.map((v): Refusal => [`${name} ${JSON.stringify(v)}`, good({ [name]: v }), [`/${name}`]]),
  ),
  ...['id', 'source', 'type', 'subject', 'dataschema'].flatMap((name) =>
    UNPRINTABLE.map((v): Refusal => [`${name} ${JSON.stringify(v)}`, good({ [name]: v }), [`/${name}`]]),
  ),
  ...NOT_JSON.map(
    (v): Refusal => [`datacontenttype ${v}`, good({ datacontenttype: v }), ['/datacontenttype']],
  ),
  ...NAMES.map((name): Refusal => [`an attribute "${name}"`, good({ [name]: 'x' }), [`/${name}`]]),
  ['an attribute a/b~c', good({ 'a/b~c': 'x' }), ['/a~1b~0c']],
  ['data_base64 instead of data', { ...without('data'), data_base64: 'e30=' }, ['/data_base64']],
  ...NO_EXTENSION.map((v): Refusal => [`an extension ${JSON.stringify(v)}`, good({ extra: v }), ['/extra']]),
  ...[null, 7, 'an event', true, [], [good()]].map((v): Refusal => [JSON.stringify(v).slice(0, 20), v, ['']]),
  ['nothing at all', {}, ['/specversion', '/id', '/source', '/type']],
  ['several mistakes', good({ id: '', time: 'now', Extra: 1 }), ['/id', '/time', '/Extra']],
  ['an unknown type that is no event otherwise', event('tea.served', {}, { source: '' }), ['/source']],
]

t.test('an envelope that is none is refused where it is wrong', async (t) => {
  const scene = await startRefusing(t)
  await areRefused(t, scene, [...badStrings, ...envelopes])
  await areRefusedInBinary(t, scene, [
    ...badStrings,
    ...['id', 'source', 'type'].map((name): Refusal => [`no ${name}`, without(name), [`/${name}`]]),
    ...['id', 'source', 'type', 'subject', 'extra'].flatMap((name): Refusal[] => [
      [`${name} half escaped`, good({ [name]: 'a%' }), [`/${name}`]],
      [`${name} no UTF-8`, good({ [name]: '%C0%AF' }), [`/${name}`]],
    ]),
    ['id with an escaped NUL', good({ id: 'a%00' }), ['/id']],
    ['a header ce-trace-parent', good({ 'trace-parent': 'x' }), ['/trace-parent']],
    ['a header ce-data_base64', good({ data_base64: 'e30=' }), ['/data_base64']],
    ['several mistakes', good({ id: '', time: 'now' }), ['/id', '/time']],
    // Without it, the body is all there is.
    ['no specversion', without('specversion'), ['/specversion', '/id', '/source', '/type', '/roomId']],
  ])
})

const SECOND = 1000
const MINUTE = 60 * SECOND

t.test('a time is at most five minutes ahead', async (t) => {
  const scene = await startRefusing(t)
  const ahead: Refusal[] = [
    ['2099', good({ time: '2099-01-01T00:00:00Z' }), ['/time']],
    ['5:01 ahead', good({ time: scene.at(5 * MINUTE + SECOND) }), ['/time']],
    ['a millisecond too far ahead', good({ time: scene.at(5 * MINUTE + 1) }), ['/time']],
  ]
  await areRefused(t, scene, ahead)
  await areRefusedInBinary(t, scene, ahead)
  for (const ms of [5 * MINUTE, 5 * MINUTE - SECOND, 0, -400 * 24 * 60 * MINUTE])
    for (const send of [post, postBinary])
      t.same(statusesOf(await send(scene, good({ time: scene.at(ms) }))), ['accepted'], `${ms} ms ahead`)
  await scene.clock.advance(2 * SECOND)
  const later = await post(scene, good({ time: scene.at(5 * MINUTE + SECOND) }))
  t.same(statusesOf(later), ['accepted'], 'what was too far ahead is not two seconds later')
})

const FINE: [what: string, more: Fields][] = [
  ['extensions', { traceparent: '00-ab-cd-01', sequence: 7, sampled: true, x: '' }],
  ['an extension of 50 letters', { [long(50)]: 'x' }],
  ['names that objects have', { constructor: 'x', valueof: 'x', prototype: 'x' }],
  ['optional attributes that are null', { time: null, subject: null, dataschema: null, extra: null }],
  ['everything as long as it may be', { id: long(200), source: long(500), subject: long(500) }],
  ['letters of every kind', { id: 'Grüße 🎈 %41', source: '/läden/1', subject: 'ж' }],
  ['a type of JSON of its own', { datacontenttype: 'application/vnd.shop.v1+json; charset=utf-8' }],
  ['an offset', { time: '2026-01-01T12:00:00.123456789+05:30' }],
  ['data_base64 that is null', { data_base64: null }],
]

t.test('what the specification allows is accepted', async (t) => {
  const scene = await startRefusing(t)
  for (const [what, more] of FINE) t.same(statusesOf(await post(scene, good(more))), ['accepted'], what)
  const id = 'Grüße 🎈 %41'
  const answer = await postBinary(scene, good({ id: encodeURIComponent(id), source: '/b', extra: 'x%20y' }))
  t.match(answer.json(), { events: [{ id, status: 'accepted' }] }, 'percent-encoded in a header')
})
