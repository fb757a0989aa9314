import t, { type Test } from 'tap'
import { KEYS } from '../helper/service.ts'
import { send } from '../routes/connection.ts'
import { type Answered, isProblem } from '../routes/problems.ts'
import { type Scene, startScene } from '../routes/scene.ts'
import { contents } from './contents.ts'
import { BATCHED, event, type Fields, STRUCTURED, statusesOf } from './messages.ts'
import { EVENT_SECRETS, SECRETS, type SignOptions, signatureOf, spellings } from './signing.ts'

const SIX_MINUTES = 360_000
const EVENT = event('billing.resumed', { account: 'a' }, { id: 'one' })
const BODY = JSON.stringify(EVENT)
const FORGED = `v1,${Buffer.alloc(32, 7).toString('base64')}`
const WRONG_KEY = 'wrong-key-0000000000000000'

type Headers = Record<string, string>
const signed = (more: SignOptions = {}, over = BODY) => signatureOf(over, more)
const without = (name: string): Headers =>
  Object.fromEntries(Object.entries(signed()).filter(([other]) => other !== name))
const changed = (name: keyof ReturnType<typeof signed>, change: (value: string) => string): Headers => {
  const headers = signed()
  return { ...headers, [name]: change(headers[name]) }
}

/** Each makes its headers when it is its turn: they hold the time. */
const REFUSED: [what: string, headers: () => Headers, body?: string][] = [
  ['forged', () => changed('webhook-signature', () => FORGED)],
  ['of a secret that nobody has', () => signed({ secret: SECRETS.stranger })],
  ['six minutes old', () => signed({ age: SIX_MINUTES })],
  ['six minutes from the future', () => signed({ age: -SIX_MINUTES })],
  [
    'an old one with a fresh time',
    () => ({ ...signed({ age: SIX_MINUTES }), 'webhook-timestamp': signed()['webhook-timestamp'] }),
  ],
  ['of a second before', () => changed('webhook-timestamp', (value) => String(Number(value) - 1))],
  ['of another id', () => changed('webhook-id', () => 'msg_2')],
  ['truncated', () => changed('webhook-signature', (value) => value.slice(0, -1))],
  ['longer', () => changed('webhook-signature', (value) => `${value}=`)],
  ['empty', () => changed('webhook-signature', () => '')],
  ['a version only', () => changed('webhook-signature', () => 'v1,')],
  ['not even a version', () => changed('webhook-signature', () => 'v1')],
  ['of another version', () => changed('webhook-signature', (value) => value.replace('v1,', 'v2,'))],
  ['without a version', () => changed('webhook-signature', (value) => value.slice(3))],
  ['of another body', () => signed({}, `${BODY} `)],
  ['of no body', () => signed({}, '')],
  ['of a body that is no JSON, forged', () => changed('webhook-signature', () => FORGED), '{'],
  ['at a time that is none', () => changed('webhook-timestamp', () => 'now')],
  ['at a time in milliseconds', () => changed('webhook-timestamp', (value) => `${value}000`)],
  ['without an id', () => without('webhook-id')],
  ['without a time', () => without('webhook-timestamp')],
  ['with an empty id', () => changed('webhook-id', () => '')],
  ['with an empty time', () => changed('webhook-timestamp', () => '')],
]

/** A key counts where there is one, whatever the signature: these are not about signatures. */
const WRONG_KEYS: [what: string, headers: () => Headers][] = [
  ['no signature at all', () => without('webhook-signature')],
  ['an unknown key', () => ({ ...signed(), authorization: `Bearer ${WRONG_KEY}` })],
  ['a secret for a key', () => ({ ...signed(), authorization: `Bearer ${SECRETS.shop}` })],
  ['a known key in another scheme', () => ({ ...signed(), authorization: `Basic ${KEYS.booking}` })],
  ['an empty key', () => ({ ...signed(), authorization: '' })],
]

interface Watched extends Scene {
  /** A structured event, unless `more` says otherwise. */
  give(headers: Headers, body?: string): Promise<Answered>
  /** what has been logged, and what anybody was told */
  heard: string[]
  refusals(): number
}

async function startWatched(t: Test): Promise<Watched> {
  const heard: string[] = []
  const scene = await startScene(t, {
    env: { EVENT_SECRETS, LOG_LEVEL: 'trace' },
    onLog: (line) => void heard.push(JSON.stringify(line)),
  })
  const give = async (headers: Headers, body = BODY) => {
    const answer = await scene.app.inject({
      method: 'POST',
      url: '/v1/events',
      headers: { 'content-type': STRUCTURED, ...headers },
      payload: body,
    })
    heard.push(answer.body, JSON.stringify(answer.headers))
    return answer
  }
  const isRefusal = (line: string) => line.includes('"event.refused"') && line.includes('"level":40')
  return { ...scene, give, heard, refusals: () => heard.filter(isRefusal).length }
}

async function isRefused(
  t: Test,
  scene: Watched,
  send: () => Promise<Answered>,
  lines: number,
): Promise<void> {
  const before = scene.refusals()
  const answer = await send()
  isProblem(t, answer, 401, 'unauthorized')
  t.match(answer.headers['www-authenticate'], /^Bearer realm="curfew"/)
  t.equal(scene.refusals() - before, lines, 'lines of a refusal')
  t.same(await contents(scene.databaseUrl), { endings: [], events: [], subjects: [] }, 'nothing is stored')
}

t.test('a signature that proves nothing is refused, and so is a wrong key beside a good one', async (t) => {
  const scene = await startWatched(t)
  for (const [what, headers, body] of REFUSED)
    await t.test(what, (t) => isRefused(t, scene, () => scene.give(headers(), body), 1))
  for (const [what, headers] of WRONG_KEYS)
    await t.test(what, (t) => isRefused(t, scene, () => scene.give(headers()), 0))
  const attributes = {
    'ce-specversion': '1.0',
    'ce-id': 'one',
    'ce-source': '/shop',
    'ce-type': 'billing.resumed',
  }
  const data = JSON.stringify(EVENT.data)
  const binary = () => ({ ...signed({}, data), ...attributes, 'content-type': 'application/json' })
  await t.test('a binary event', (t) => isRefused(t, scene, () => scene.give(binary(), data), 1))

  t.same(statusesOf((await scene.give(signed())) as never), ['accepted'], 'the same, as it should be')
  for (const secret of [...Object.values(SECRETS), ...Object.values(KEYS), WRONG_KEY])
    for (const form of spellings(secret))
      t.notOk(
        scene.heard.some((line) => line.includes(form)),
        `nothing says ${form.slice(0, 8)}…`,
      )
})

// The official library would read the first number of a time, and every signature between blanks.
const DOUBLED: Array<keyof ReturnType<typeof signed>> = [
  'webhook-id',
  'webhook-timestamp',
  'webhook-signature',
]

t.test('a header of a signature that is there twice', async (t) => {
  const scene = await startWatched(t)
  await scene.app.listen({ port: 0, host: '127.0.0.1' })
  for (const name of DOUBLED)
    await t.test(name, (t) => {
      const headers: Fields = signed()
      const lines = [...Object.entries(headers), [name, headers[name]]].map(
        (pair) => `${pair.join(': ')}\r\n`,
      )
      const head = `POST /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: ${STRUCTURED}\r\n`
      const request = `${head}Content-Length: ${BODY.length}\r\n${lines.join('')}\r\n${BODY}`
      return isRefused(t, scene, async () => (await send(scene.app, request))[0] as Answered, 1)
    })
})

t.test('a signed request that is sent again within five minutes is a duplicate', async (t) => {
  const scene = await startWatched(t)
  const scheduled = { bookingId: 'b', roomId: 'the-room', endsAt: scene.at(3_600_000) }
  const body = JSON.stringify([event('booking.scheduled', scheduled), EVENT])
  const headers = { ...signed({ age: 270_000 }, body), 'content-type': BATCHED }
  t.same(statusesOf((await scene.give(headers, body)) as never), ['accepted', 'accepted'])
  const before = await contents(scene.databaseUrl)
  const again = { ...signed({ id: 'msg_2' }, body), 'content-type': BATCHED }
  for (const more of [headers, headers, again])
    t.same(statusesOf((await scene.give(more, body)) as never), ['duplicate', 'duplicate'])
  t.same(await contents(scene.databaseUrl), before, 'nothing has changed')
  t.equal(scene.refusals(), 0)
})
