import t from 'tap'
import { startService } from '../helper/service.ts'

const SESSION = '/v1/sessions/edb7a1cb-0627-44ed-9ae4-62a344d6e8a9/end'
const TARGET = { session: 'edb7a1cb-0627-44ed-9ae4-62a344d6e8a9' }
const ONE = '/v1/endings/01a20aed-7e01-70a5-b47c-be9bc2c1bf82'
const JSON_TYPE = { 'content-type': 'application/json' }

interface Bad {
  what: string
  call: string
  body?: unknown
  headers?: Record<string, string>
  as?: 'booking' | null
  status: number
  type?: string
  /** of the first mistake */
  pointer?: string
}

const invalid = (what: string, call: string, body: unknown, pointer: string): Bad => ({
  what,
  call,
  body,
  pointer,
  status: 422,
  type: 'invalid',
})
/** The body of the short form with one field wrong. */
const field = (what: string, body: unknown, pointer: string) =>
  invalid(what, `POST ${SESSION}`, body, pointer)
const target = (what: string, value: unknown, pointer = '/target') =>
  invalid(what, 'POST /v1/endings', { target: value }, pointer)
const query = (what: string, text: string, pointer: string) =>
  invalid(what, `GET /v1/endings?${text}`, undefined, pointer)

const CASES: Bad[] = [
  field('dueAt that is a number', { dueAt: 5 }, '/dueAt'),
  field('dueAt that is null', { dueAt: null }, '/dueAt'),
  field('dueAt that is empty', { dueAt: '' }, '/dueAt'),
  field('dueAt without a zone', { dueAt: '2026-11-23T15:00:00' }, '/dueAt'),
  field('dueAt without a time', { dueAt: '2026-11-23' }, '/dueAt'),
  field('dueAt with a blank', { dueAt: '2026-11-23 15:00:00Z' }, '/dueAt'),
  field('30 February', { dueAt: '2026-02-30T15:00:00Z' }, '/dueAt'),
  field('month 13', { dueAt: '2026-13-01T15:00:00Z' }, '/dueAt'),
  field('hour 25', { dueAt: '2026-11-23T25:00:00Z' }, '/dueAt'),
  field('an offset of 99 hours', { dueAt: '2026-11-23T15:00:00+99:00' }, '/dueAt'),
  field('over a year ahead', { dueAt: '2028-01-01T00:00:00Z' }, '/dueAt'),
  field('eight days ago', { dueAt: new Date(Date.now() - 8 * 24 * 3_600_000).toISOString() }, '/dueAt'),
  field('the year 0', { dueAt: '0000-01-01T00:00:00Z' }, '/dueAt'),
  field('the year 9999', { dueAt: '9999-12-31T23:59:59Z' }, '/dueAt'),
  field('reason that is empty', { reason: '' }, '/reason'),
  field('reason in capitals', { reason: 'Cancelled' }, '/reason'),
  field('reason with a hyphen', { reason: 'booking-cancelled' }, '/reason'),
  field('reason of 65 characters', { reason: 'a'.repeat(65) }, '/reason'),
  field('reason that is a list', { reason: ['a'] }, '/reason'),
  field('key that is empty', { key: '' }, '/key'),
  field('key of 201 characters', { key: 'k'.repeat(201) }, '/key'),
  field('key with NUL', { key: 'a\u0000b' }, '/key'),
  field('key with a newline', { key: 'a\nb' }, '/key'),
  field('key with half a character', { key: '\ud800' }, '/key'),
  field('key that is a number', { key: 7 }, '/key'),
  field('key that is null', { key: null }, '/key'),
  field('urgent as text', { urgent: 'true' }, '/urgent'),
  field('urgent as a number', { urgent: 1 }, '/urgent'),
  field('metadata that is text', { metadata: 'x' }, '/metadata'),
  field('metadata that is a list', { metadata: [] }, '/metadata'),
  field('metadata that is null', { metadata: null }, '/metadata'),
  field('metadata over 4 KiB', { metadata: { text: 'x'.repeat(4090) } }, '/metadata'),
  field('metadata over 4 KiB in bytes', { metadata: { text: 'é'.repeat(2045) } }, '/metadata'),
  {
    ...field(
      'metadata nested too deep',
      `{"metadata":{"a":${'['.repeat(128)}${']'.repeat(128)}}}`,
      '/metadata',
    ),
    headers: JSON_TYPE,
  },
  { ...field('lists within lists', '['.repeat(60_000), '/0/0'), headers: JSON_TYPE },
  field('an unknown field', { when: 'now' }, '/when'),
  field('an unknown field with odd characters', { 'a/b~c': 1 }, '/a~1b~0c'),
  field('target in the short form', { target: TARGET }, '/target'),
  field('a list as the body', [], ''),
  { ...field('a text as the body', '"now"', ''), headers: JSON_TYPE },
  {
    what: 'null as the body',
    call: `POST ${SESSION}`,
    body: 'null',
    headers: JSON_TYPE,
    status: 422,
    pointer: '',
  },
  { what: 'no body where one is needed', call: 'POST /v1/endings', status: 422, pointer: '' },
  invalid('no target', 'POST /v1/endings', {}, '/target'),
  target('target that is empty', {}),
  target('two targets', { ...TARGET, room: 'abc' }),
  target('target that is text', 'edb7a1cb'),
  target('target that is null', null),
  target('an unknown kind of target', { account: 'a' }, '/target/account'),
  target('a session that is no UUID', { session: 'abc' }, '/target/session'),
  target('a room of two characters', { room: 'ab' }, '/target/room'),
  target('a room of 65 characters', { room: 'a'.repeat(65) }, '/target/room'),
  target('a room with a slash', { room: 'a/b' }, '/target/room'),
  target('an external id that is empty', { roomExternalId: '' }, '/target/roomExternalId'),
  target('an external id of 201 characters', { roomExternalId: 'x'.repeat(201) }, '/target/roomExternalId'),
  target('an external id with a bell', { roomExternalId: 'a\u0007' }, '/target/roomExternalId'),
  invalid('a session id that is none', 'POST /v1/sessions/abc/end', {}, '/sessionId'),
  invalid('a room that is too short', 'POST /v1/rooms/ab/end', {}, '/room'),
  invalid('a room with a blank', 'POST /v1/rooms/a%20b/end', {}, '/room'),
  invalid('a room with NUL', 'POST /v1/rooms/abc%00/end', {}, '/room'),
  invalid('a query where none is', `POST ${SESSION}?urgent=true`, {}, '/urgent'),
  invalid('an ending id that is none', 'GET /v1/endings/5', undefined, '/id'),
  invalid('a move to nowhere', `PATCH ${ONE}`, {}, '/dueAt'),
  invalid('a move by something else', `PATCH ${ONE}`, { reason: 'x' }, '/reason'),
  invalid(
    'a move to a time and by minutes',
    `PATCH ${ONE}`,
    { dueAt: '2026-11-23T15:00:00Z', extendMinutes: 5 },
    '/dueAt',
  ),
  invalid('a move by no minutes', `PATCH ${ONE}`, { extendMinutes: 0 }, '/extendMinutes'),
  invalid('a move by half a minute', `PATCH ${ONE}`, { extendMinutes: 0.5 }, '/extendMinutes'),
  invalid('a cancel with a body', `POST ${ONE}/cancel`, { why: 'x' }, '/why'),
  query('an unknown filter', 'colour=red', '/colour'),
  query('an unknown state', 'state=running', '/state'),
  query('a limit of nothing', 'limit=0', '/limit'),
  query('a limit of 201', 'limit=201', '/limit'),
  query('a limit in words', 'limit=ten', '/limit'),
  query('a limit given twice', 'limit=1&limit=2', '/limit'),
  query('a cursor that is none', 'cursor=abc', '/cursor'),
  query('a time without a zone', 'dueBefore=2026-11-23T15:00:00', '/dueBefore'),
  query('a session that is no UUID', 'session=x', '/session'),
  {
    ...field('an idempotency key with a blank', {}, '/headers/idempotency-key'),
    headers: { 'idempotency-key': 'a b' },
  },
  {
    ...field('an idempotency key of 256 characters', {}, '/headers/idempotency-key'),
    headers: { 'idempotency-key': 'k'.repeat(256) },
  },
  {
    what: 'not JSON',
    call: `POST ${SESSION}`,
    body: 'due now',
    headers: JSON_TYPE,
    status: 400,
    type: 'bad-request',
  },
  {
    what: 'JSON that breaks off',
    call: `POST ${SESSION}`,
    body: '{"reason":',
    headers: JSON_TYPE,
    status: 400,
  },
  {
    what: 'a prototype',
    call: `POST ${SESSION}`,
    body: '{"__proto__": {}}',
    headers: JSON_TYPE,
    status: 400,
  },
  {
    what: 'text',
    call: `POST ${SESSION}`,
    body: 'x',
    headers: { 'content-type': 'text/plain' },
    status: 415,
    type: 'unsupported-media-type',
  },
  {
    what: 'a form',
    call: `POST ${SESSION}`,
    body: 'a=b',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    status: 415,
  },
  {
    what: 'a body over 64 KiB',
    call: `POST ${SESSION}`,
    body: { metadata: { text: 'x'.repeat(66_000) } },
    status: 413,
    type: 'body-too-large',
  },
  { what: 'a path over 2 KiB', call: `GET /v1/${'a'.repeat(2100)}`, status: 414, type: 'path-too-long' },
  {
    what: 'a parameter over 2 KiB',
    call: `GET /v1/endings/${'a'.repeat(2100)}`,
    status: 414,
    type: 'path-too-long',
  },
  { what: 'an unknown path', call: 'GET /v2/endings', status: 404, type: 'not-found' },
  { what: 'an ending that is not there', call: `GET ${ONE}`, status: 404, type: 'not-found' },
  { what: 'a broken escape', call: 'GET /v1/endings/%zz', status: 400, type: 'bad-request' },
  { what: 'a wrong method', call: 'DELETE /v1/endings', status: 405, type: 'method-not-allowed' },
  { what: 'GET of an end', call: `GET ${SESSION}`, status: 405, type: 'method-not-allowed' },
  { what: 'no key', call: `POST ${SESSION}`, as: null, status: 401, type: 'unauthorized' },
  {
    what: 'a wrong key',
    call: `POST ${SESSION}`,
    as: null,
    headers: { authorization: 'Bearer booking-key-0000000000001' },
    status: 401,
    type: 'unauthorized',
  },
  {
    what: 'another scheme',
    call: 'GET /status',
    as: null,
    headers: { authorization: 'Basic YTpi' },
    status: 401,
  },
]

t.test(`${CASES.length} bad requests, and the ledger unchanged after all of them`, async (t) => {
  const { request, sandbox } = await startService(t)
  for (const { what, call, status, type, pointer, ...more } of CASES) {
    const [method, url] = call.split(' ') as [string, string]
    const answer = await request(method, url, more)
    t.equal(answer.statusCode, status, what)
    t.match(answer.headers['content-type'], /^application\/problem\+json/, what)
    const problem = answer.json()
    t.match(
      problem,
      { type: String, title: String, status, detail: String, instance: answer.headers['x-request-id'] },
      what,
    )
    if (type) t.equal(problem.type, `urn:curfew:problem:${type}`, what)
    if (pointer !== undefined) t.equal(problem.errors?.[0]?.pointer, pointer, what)
  }
  t.same((await request('GET', '/v1/endings')).json(), { data: [], nextCursor: null })
  t.same(sandbox.calls, [])
})
