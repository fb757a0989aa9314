/** Ways in which an answer of Digital Samba may be wrong, none of which tells an untruth that could be believed. */

export type Random = () => number

export interface Answer {
  status: number
  headers: Record<string, string>
  body: string
}

/** What becomes of an answer. `'reset'` breaks the connection, `'hang'` never answers. */
export interface Mutated {
  what: string
  answer: Answer | 'reset' | 'hang'
  /** cut off in the middle, though its length was told */
  isCut?: boolean
  /** Digital Samba's own refusal, for which an ending may fail */
  mayFail?: boolean
}

const JSON_TYPE = { 'content-type': 'application/json' }
const PAGE = '<!doctype html><title>Sign in</title><h1>Sign in</h1>'
const SERVER_ERRORS = [500, 501, 502, 503, 504, 520, 599]
const REDIRECTS = [300, 301, 302, 303, 304, 307, 308]
// Not 409 and 422, after which a session that is live is tried again.
const REFUSALS: Array<[status: number, body: object]> = [
  [400, { message: 'Bad request' }],
  [403, { message: 'This action is unauthorized.', error: 'forbidden' }],
  [404, { message: 'Not Found', error: 'not-found' }],
  [405, { message: 'The method is not allowed.' }],
  [418, { error: 'teapot' }],
]
const DOUBTFUL: Array<[status: number, body: object]> = [
  [409, { message: 'session already ended' }],
  [422, { message: 'Not possible in this state', errors: { session: ['x'] } }],
]
const PAUSES = ['0', '1', '2.5', ' 3 ', '-5', 'soon', '', '1e3', 'NaN', 'Wed, 21 Oct 2015 07:28:00 GMT']
const TYPES = ['text/html', 'text/plain; charset=utf-16', 'application/json;;', 'image/png', '']
/** Values that no documented field has. */
const ODD_VALUES: unknown[] = [
  null,
  -1,
  0,
  1e308,
  '',
  'soon',
  'a\u0000b',
  '\ud800',
  'x'.repeat(5000),
  [],
  [[]],
  {},
  { a: { b: null } },
]
const LARGE = 2 * 1024 * 1024

/** `isLookUp`: of one session; that it was not found would be an untruth that could be believed. */
export function mutate(random: Random, answer: Answer, isLookUp: boolean): Mutated {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const json = (status: number, body: unknown, headers = {}): Answer => ({
    status,
    headers: { ...JSON_TYPE, ...headers },
    body: JSON.stringify(body),
  })
  const kinds: Array<() => Mutated> = [
    () => ({ what: 'reset', answer: 'reset' }),
    () => ({
      what: 'page with 200',
      answer: { status: 200, headers: { 'content-type': 'text/html' }, body: PAGE },
    }),
    () => {
      const status = pick(SERVER_ERRORS)
      const body = pick([
        PAGE,
        '',
        '{"message":"Server Error"}',
        '{"message":"a\\u0000b\\ud800"}',
        'null',
        '[]',
      ])
      return { what: `${status}`, answer: { status, headers: { 'content-type': pick(TYPES) }, body } }
    },
    () => {
      const status = pick(REDIRECTS)
      return {
        what: `${status}`,
        answer: { status, headers: { location: pick(['/login', 'http://127.0.0.1:1/', '::']) }, body: '' },
      }
    },
    () => ({
      what: 'foreign 404',
      answer: { status: 404, headers: { 'content-type': 'text/html' }, body: PAGE },
    }),
    () => ({ what: 'foreign 404 in JSON', answer: json(404, pick([null, [], 'x', { error: 'no-route' }])) }),
    () => ({ what: '429', answer: json(429, { error: 'rate-limit' }, { 'retry-after': pick(PAUSES) }) }),
    () => ({ what: '503 with retry-after', answer: json(503, {}, { 'retry-after': pick(PAUSES) }) }),
    () => {
      const [status, body] = pick(REFUSALS.filter(([status]) => !(isLookUp && status === 404)))
      return { what: `refused ${status}`, answer: json(status, body), mayFail: true }
    },
    () => {
      const [status, body] = pick(DOUBTFUL)
      return { what: `doubtful ${status}`, answer: json(status, body) }
    },
    () => ({ what: 'cut', answer: { ...answer, body: answer.body || '{"message":"OK"}' }, isCut: true }),
    () => ({ what: 'half of its JSON', answer: { ...answer, body: answer.body.slice(0, -1) || '{' } }),
    () => ({
      what: 'odd JSON',
      answer: {
        ...answer,
        body: pick([
          'null',
          '[]',
          '7',
          '"x"',
          '{"data":null}',
          '{"data":{}}',
          '{"data":[null]}',
          '[[[[[[]]]]]]',
        ]),
      },
    }),
    () => ({
      what: 'large',
      answer: { ...answer, status: 200, body: `{"data":[],"filler":"${'x'.repeat(LARGE)}"}` },
    }),
    () => ({ what: 'odd type', answer: { ...answer, headers: { 'content-type': pick(TYPES) } } }),
    () => ({
      what: 'claims to be packed',
      answer: { ...answer, headers: { ...JSON_TYPE, 'content-encoding': pick(['gzip', 'br', 'x']) } },
    }),
    () => ({ what: 'odd field', answer: { ...answer, body: oddField(random, answer.body, pick) } }),
    () => ({ what: 'odd field', answer: { ...answer, body: oddField(random, answer.body, pick) } }),
    () => ({ what: 'odd item', answer: { ...answer, body: oddItem(answer.body, pick) } }),
    () => ({ what: 'the same page for ever', answer: { ...answer, body: fullPage(answer.body) } }),
  ]
  // Each costs its time-out of real time.
  if (random() < 0.01) return { what: 'hang', answer: 'hang' }
  return pick(kinds)()
}

type Pick = <T>(list: readonly T[]) => T

function parse(body: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(body)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** One field, of the answer or of an item of its list, has a value that it cannot have, or is missing. */
function oddField(random: Random, body: string, pick: Pick): string {
  const value = parse(body)
  if (!value) return 'null'
  const items = Array.isArray(value.data) ? value.data : []
  const place = items.length > 0 && random() < 0.8 ? pick(items) : value
  const name = pick(Object.keys(place))
  const odd = pick(ODD_VALUES.filter((one) => isRecognised(name, one)))
  if (random() < 0.2 && isRecognised(name, undefined)) delete place[name]
  else place[name] = odd
  return JSON.stringify(value)
}

/** Whether nobody can take it for true: an empty list, another id, a room that has no external id. */
function isRecognised(name: string, odd: unknown): boolean {
  if (name === 'data') return !(Array.isArray(odd) && odd.length === 0)
  if (name === 'id') return odd !== 'soon'
  return name !== 'room_external_id'
}

/** One more item that cannot be, or one twice. */
function oddItem(body: string, pick: Pick): string {
  const value = parse(body)
  if (!value || !Array.isArray(value.data)) return body
  const item = pick<unknown>([null, 7, 'x', [], {}, { id: null }, { id: 'a\u0000' }, ...value.data])
  return JSON.stringify({ ...value, data: [item, ...value.data] })
}

/** As full as a page can be, of what it held: there is always one more. */
function fullPage(body: string): string {
  const value = parse(body)
  if (!value || !Array.isArray(value.data) || value.data.length === 0) return body
  const data = Array.from(
    { length: 100 },
    (_, i) => (value.data as unknown[])[i % (value.data as unknown[]).length],
  )
  return JSON.stringify({ ...value, data })
}
