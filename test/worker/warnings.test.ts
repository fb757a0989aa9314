import t from 'tap'
import { until } from '../helper/service.ts'
import { at, MINUTE, NOON, startScene } from './warning-scene.ts'

t.test('people are warned by the rule, by the ending, or else by WARN_MINUTES', async (t) => {
  const env = { WARN_MINUTES: '5', DEFAULT_TIME_LIMIT: '30m' }
  const { live, ask, request, pass, chat, sandbox, ending } = await startScene(t, { env })
  const rule = (room: string, body: object) => request('PUT', `/v1/time-limits/${room}`, { body })
  for (const name of ['by-rule', 'rule-of-few-words', 'silent-rule', 'by-ending', 'by-default', 'silent'])
    live({ friendlyUrl: name, externalId: name })
  const session = (name: string) => sandbox.sessions.find(({ room }) => room.friendlyUrl === name)
  await rule('by-rule', { maxMinutes: 20, warnMinutes: [2, 10] })
  await rule('rule-of-few-words', { maxMinutes: 21 })
  await rule('external:silent-rule', { maxMinutes: 22, warnMinutes: [] })
  const asked = [
    await ask(session('by-ending') as never, { dueAt: at(23), warnMinutes: [3, 1] }),
    await ask(session('silent') as never, { dueAt: at(24), warnMinutes: [] }),
  ]
  await until(async () => (await request('GET', '/v1/endings?state=pending')).json().data.length === 8)
  await pass(31)
  t.same(chat(), [
    [10, 'by-rule', '10 until 12:20 UTC'],
    [16, 'rule-of-few-words', '5 until 12:21 UTC'],
    [18, 'by-rule', '2 until 12:20 UTC'],
    [20, 'by-ending', '3 until 12:23 UTC'],
    [22, 'by-ending', '1 until 12:23 UTC'],
    [25, 'by-default', '5 until 12:30 UTC'],
  ])
  t.same(
    sandbox.sessions.map(({ endTime }) => ((endTime ?? 0) - NOON) / MINUTE),
    [20, 21, 22, 23, 30, 24],
    'and each ends in its time',
  )
  t.same((await ending(asked[0] as string)).warnings, [
    { minutes: 3, toldMinutes: 3, dueAt: at(23), markedAt: at(20), sentAt: at(20), result: 'sent' },
    { minutes: 1, toldMinutes: 1, dueAt: at(23), markedAt: at(22), sentAt: at(22), result: 'sent' },
  ])
  t.same((await ending(asked[0] as string)).warnMinutes, [3, 1])
  t.notOk('warnings' in (await ending(asked[1] as string)), 'none were given')
})

t.test('the text is the default’s, and each place in it is filled in', async (t) => {
  const text = (WARNING_TEXT?: string) => (WARNING_TEXT === undefined ? {} : { WARNING_TEXT })
  for (const [set, told] of [
    [
      '{minutes}, {minutes}! {time}; {time} {Minutes} {} {minutes',
      '7, 7! 12:07 UTC; 12:07 UTC {Minutes} {} {minutes',
    ],
    ['Bald ist Schluß 🙂', 'Bald ist Schluß 🙂'],
    ['$& $1 {time}', '$& $1 12:07 UTC'],
  ]) {
    const { live, ask, pass, chat } = await startScene(t, { env: text(set) })
    await ask(live({ friendlyUrl: 'room' }), { dueAt: at(7), warnMinutes: [7] })
    await pass(0)
    t.same(chat(), [[0, 'room', told]])
  }
})

t.test('one that is moved warns again for its new time, and never twice for the same', async (t) => {
  const { live, ask, request, pass, chat, warnings } = await startScene(t)
  const id = await ask(live({ friendlyUrl: 'room' }), { dueAt: at(20), warnMinutes: [10, 2] })
  const move = async (body: object) =>
    t.equal((await request('PATCH', `/v1/endings/${id}`, { body })).statusCode, 200)
  await pass(12)
  await move({ extendMinutes: 10 })
  await pass(25)
  await move({ dueAt: at(26) })
  await pass(25.2)
  await move({ dueAt: at(30) })
  await pass(27)
  await move({ extendMinutes: 5 })
  await pass(27.5)
  await move({ dueAt: at(30) })
  await pass(34)
  t.same(chat(), [
    [10, 'room', '10 until 12:20 UTC'],
    [20, 'room', '10 until 12:30 UTC'],
    [25, 'room', '1 until 12:26 UTC'],
    [27, 'room', '8 until 12:35 UTC'],
  ])
  t.same(await warnings(id), [
    [10, 10, 'sent'],
    [10, 10, 'sent'],
    [2, 1, 'sent'],
    [10, 8, 'sent'],
    [2, 2, 'too_soon'],
  ])
})

t.test('asked for again with its key, it warns of what it has not warned of', async (t) => {
  const { live, ask, pass, chat } = await startScene(t, { env: { WARN_MINUTES: '10' } })
  const session = live({ friendlyUrl: 'room' })
  const again = (body: object) => ask(session, { key: 'k', ...body })
  const id = await again({ dueAt: at(20) })
  await pass(11)
  t.equal(await again({ dueAt: at(20) }), id)
  await pass(12)
  await again({ dueAt: at(20), warnMinutes: [10, 5] })
  await pass(16)
  await again({ dueAt: at(20), warnMinutes: [] })
  await pass(17)
  await again({ dueAt: at(28), warnMinutes: [10] })
  await pass(29)
  t.same(chat(), [
    [10, 'room', '10 until 12:20 UTC'],
    [15, 'room', '5 until 12:20 UTC'],
    [18, 'room', '10 until 12:28 UTC'],
  ])
  t.equal(session.endTime, NOON + 28 * MINUTE)
})

t.test('a rule that changes, and an extension on top of it, warn for the new time', async (t) => {
  const { live, request, pass, chat, ending } = await startScene(t)
  live({ friendlyUrl: 'room' })
  const rule = (body: object) => request('PUT', '/v1/time-limits/room', { body })
  await rule({ maxMinutes: 20, warnMinutes: [10] })
  const id: string = await until(async () => (await request('GET', '/v1/endings')).json().data[0]?.id)
  await pass(11)
  await rule({ maxMinutes: 30, warnMinutes: [10, 3] })
  t.match(await ending(id), {
    dueAt: at(30),
    warnMinutes: [10, 3],
    metadata: { rule: 'room', maxMinutes: 30 },
  })
  await pass(21)
  await request('PATCH', `/v1/endings/${id}`, { body: { extendMinutes: 10 } })
  await pass(35)
  await rule({ maxMinutes: 30, warnMinutes: [4] })
  t.match(await ending(id), { dueAt: at(40), warnMinutes: [4] }, 'the minutes on top stay')
  await rule({ maxMinutes: 30, warnMinutes: [4] })
  await pass(41)
  t.same(chat(), [
    [10, 'room', '10 until 12:20 UTC'],
    [20, 'room', '10 until 12:30 UTC'],
    [30, 'room', '10 until 12:40 UTC'],
    [36, 'room', '4 until 12:40 UTC'],
  ])
})

t.test('forty moves within seconds put one message into the chat', async (t) => {
  const { live, ask, request, clock, pass, chat, warnings } = await startScene(t)
  const id = await ask(live({ friendlyUrl: 'room' }), { dueAt: at(8), warnMinutes: [10, 2] })
  for (let i = 1; i <= 40; i += 1) {
    await pass(i / 600)
    const body = { dueAt: new Date(NOON + 8 * MINUTE + i * 1000).toISOString() }
    t.equal((await request('PATCH', `/v1/endings/${id}`, { body })).statusCode, 200)
  }
  await pass(1)
  t.equal(clock.now(), NOON + MINUTE)
  t.same(chat(), [[0, 'room', '8 until 12:08 UTC']])
  const [first, ...others] = await warnings(id)
  t.same(first, [10, 8, 'sent'])
  t.equal(others.length, 40)
  t.ok(others.every((one) => (one as string[])[2] === 'too_soon'))
  await pass(9)
  t.same(
    chat().slice(1),
    [[(8 * 60 + 40 - 120) / 60, 'room', '2 until 12:08 UTC']],
    'and the next in its time',
  )
})

t.test('whoever asks, people are not warned twice within two minutes, nor twice of one time', async (t) => {
  const { live, request, pass, chat, warnings } = await startScene(t)
  const session = live({ friendlyUrl: 'room' })
  const end = async (target: object, minutes: number, warnMinutes: number[], as: 'booking' | 'billing') => {
    const body = { target, dueAt: at(minutes), warnMinutes }
    return (await request('POST', '/v1/endings', { body, as })).json().id as string
  }
  const mine = await end({ session: session.id }, 20, [10, 5], 'booking')
  const same = await end({ room: session.room.id }, 20, [10, 9, 5], 'billing')
  const named = await end({ room: 'room' }, 20, [7, 5], 'billing')
  await pass(21)
  t.same(
    chat().map(([at]) => at),
    [10, 13, 15],
    'ten minutes before, not nine, seven, five',
  )
  const results = [...(await warnings(mine)), ...(await warnings(same)), ...(await warnings(named))]
  t.same(results.map((one) => `${(one as string[])[0]} ${(one as string[])[2]}`).sort(), [
    '10 sent',
    '10 too_soon',
    '5 sent',
    '5 too_soon',
    '5 too_soon',
    '7 sent',
    '9 too_soon',
  ])
})
