import t from 'tap'
import type { ProblemCode } from '../../src/problem.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { KEYS, startService } from '../helper/service.ts'
import { send } from './connection.ts'
import { isProblem } from './problems.ts'

const UUID = 'edb7a1cb-0627-44ed-9ae4-62a344d6e8a9'
const SESSION = `/v1/sessions/${UUID}/end`
const JSON_TYPE = { 'content-type': 'application/json' }

const CONTENTS: [
  what: string,
  status: number,
  code: ProblemCode,
  headers: Record<string, string>,
  body: string,
][] = [
  ['no JSON', 400, 'bad-request', JSON_TYPE, 'reason=x'],
  ['truncated JSON', 400, 'bad-request', JSON_TYPE, '{"reason":"x"'],
  ['JSON with a comma too many', 400, 'bad-request', JSON_TYPE, '{"reason":"x",}'],
  ['JSON with single quotes', 400, 'bad-request', JSON_TYPE, "{'reason':'x'}"],
  ['two documents', 400, 'bad-request', JSON_TYPE, '{}{}'],
  ['blanks only', 400, 'bad-request', JSON_TYPE, ' '],
  ['NaN', 400, 'bad-request', JSON_TYPE, '{"metadata":{"a":NaN}}'],
  ['a __proto__', 400, 'bad-request', JSON_TYPE, '{"__proto__":{"urgent":true}}'],
  ['a __proto__ in metadata', 400, 'bad-request', JSON_TYPE, '{"metadata":{"__proto__":{}}}'],
  ['an escaped __proto__', 400, 'bad-request', JSON_TYPE, '{"\\u005f_proto__":{}}'],
  ['a constructor.prototype', 400, 'bad-request', JSON_TYPE, '{"metadata":{"constructor":{"prototype":{}}}}'],
  ['64 KiB and a byte', 413, 'body-too-large', JSON_TYPE, `{}${' '.repeat(65_535)}`],
  ['no content type', 415, 'unsupported-media-type', {}, '{}'],
  ['text', 415, 'unsupported-media-type', { 'content-type': 'text/plain' }, '{}'],
  ['a form', 415, 'unsupported-media-type', { 'content-type': 'application/x-www-form-urlencoded' }, 'a=b'],
  ['another JSON', 415, 'unsupported-media-type', { 'content-type': 'application/merge-patch+json' }, '{}'],
  ['a content type of nonsense', 415, 'unsupported-media-type', { 'content-type': ';;;' }, '{}'],
]

const PLACES: [
  what: string,
  status: number,
  code: ProblemCode,
  method: string,
  url: string,
  allow?: string,
][] = [
  ['nothing here', 404, 'not-found', 'GET', '/'],
  ['no such version', 404, 'not-found', 'GET', '/v2/endings'],
  ['another case', 404, 'not-found', 'GET', '/V1/endings'],
  ['one segment too many', 404, 'not-found', 'POST', `${SESSION}/now`],
  ['no such ending', 404, 'not-found', 'GET', `/v1/endings/${UUID}`],
  ['no such ending to cancel', 404, 'not-found', 'POST', `/v1/endings/${UUID}/cancel`],
  ['no such ending to retry', 404, 'not-found', 'POST', `/v1/endings/${UUID}/retry`],
  ['a path that does not decode', 400, 'bad-request', 'POST', '/v1/rooms/a%ZZbc/end'],
  ['half an escape', 400, 'bad-request', 'GET', '/v1/endings/abc%'],
  ['overlong UTF-8', 400, 'bad-request', 'POST', '/v1/rooms/abc%C0%AFdef/end'],
  ['a long path', 414, 'path-too-long', 'GET', `/${'a'.repeat(2048)}`],
  ['a long path below a route', 414, 'path-too-long', 'POST', `/v1/rooms/${'a'.repeat(2040)}/end`],
  ['a long parameter', 414, 'path-too-long', 'GET', `/v1/endings/${'a'.repeat(4000)}`],
  ['GET to end', 405, 'method-not-allowed', 'GET', SESSION, 'POST'],
  ['PUT to end a room', 405, 'method-not-allowed', 'PUT', '/v1/rooms/abc/end', 'POST'],
  ['DELETE all', 405, 'method-not-allowed', 'DELETE', '/v1/endings', 'GET, HEAD, POST'],
  ['DELETE one', 405, 'method-not-allowed', 'DELETE', `/v1/endings/${UUID}`, 'GET, HEAD, PATCH'],
  ['PUT one', 405, 'method-not-allowed', 'PUT', `/v1/endings/${UUID}`, 'GET, HEAD, PATCH'],
  ['GET to cancel', 405, 'method-not-allowed', 'GET', `/v1/endings/${UUID}/cancel`, 'POST'],
  ['OPTIONS', 405, 'method-not-allowed', 'OPTIONS', `/v1/endings/${UUID}/retry`, 'POST'],
  ['POST to the status', 405, 'method-not-allowed', 'POST', '/status', 'GET, HEAD'],
  ['POST to the health', 405, 'method-not-allowed', 'POST', '/healthz', 'GET, HEAD'],
]

const AUTH = `Authorization: Bearer ${KEYS.booking}\r\n`
const WIRE: [what: string, status: number, code: ProblemCode, bytes: string][] = [
  ['no HTTP at all', 400, 'bad-request', 'hello there\r\n\r\n'],
  ['the beginning of TLS', 400, 'bad-request', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['a header without a colon', 400, 'bad-request', 'GET /healthz HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n'],
  [
    'a length that is no number',
    400,
    'bad-request',
    `POST ${SESSION} HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n`,
  ],
  [
    'two lengths',
    400,
    'bad-request',
    `POST ${SESSION} HTTP/1.1\r\nHost: x\r\n${AUTH}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
  ],
  [
    'a length and chunks',
    400,
    'bad-request',
    `POST ${SESSION} HTTP/1.1\r\nHost: x\r\n${AUTH}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    'headers too large',
    431,
    'headers-too-large',
    `GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
  ],
]

t.test('what cannot be understood is refused with the status that says why', async (t) => {
  const { app, request, sandbox } = await startService(t, { clock: new ManualClock() })
  for (const [what, status, code, headers, body] of CONTENTS)
    await t.test(`body: ${what}`, async (t) => {
      isProblem(t, await request('POST', SESSION, { headers, body }), status, code)
    })
  for (const [what, status, code, method, url, allow] of PLACES)
    await t.test(`place: ${what}`, async (t) => {
      const answer = await request(method, url)
      isProblem(t, answer, status, code)
      t.equal(answer.headers.allow, allow)
    })
  await app.listen({ port: 0, host: '127.0.0.1' })
  for (const [what, status, code, bytes] of WIRE)
    await t.test(`wire: ${what}`, async (t) => {
      const [answer] = await send(app, bytes)
      t.equal(answer?.statusCode, status)
      t.match(answer?.headers, { 'content-type': 'application/problem+json', connection: 'close' })
      t.match(JSON.parse(answer?.body ?? ''), {
        type: `urn:curfew:problem:${code}`,
        status,
        title: String,
        detail: String,
      })
    })
  t.same((await request('GET', '/v1/endings')).json(), { data: [], nextCursor: null })
  t.same(sandbox.calls, [], 'nothing was called')
})
