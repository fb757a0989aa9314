import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { Ending } from '../../src/routes/ending-schemas.ts'
import { onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { tellNoTime } from '../simulation/simulate.ts'
import { HOUR, startScene } from './scene.ts'

const MINUTE = 60_000

onEveryEngine(t, 'what is told is what has happened', async (t, databaseUrl, engine) => {
  if (engine === 'postgres') await tellNoTime(databaseUrl)
  const scene = await startScene(t, { databaseUrl })
  const { request, finished, ask, ending, sandbox, clock, at, app } = scene
  for (let i = 0; i < 5; i += 1) await finished('ended')
  for (let i = 0; i < 3; i += 1) await finished('cancelled')
  for (let i = 0; i < 2; i += 1) await finished('failed')
  const over = (id: string) => until(async () => (await ending(id)).state !== 'pending')
  for (const room of ['no-such-room', sandbox.createRoom().id])
    await over((await ask({ target: { room }, dueAt: at(0) })).id)
  const session = sandbox.startSession({ room: sandbox.createRoom().id }).id
  await ask({ target: { session } }, { as: 'billing' })
  await app.ledger.sessionSeenOver(session)
  const live = sandbox.startSession({ room: sandbox.createRoom().id }).id
  sandbox.inject({ kind: 'status', status: 500, session: live, times: 4 } as never)
  const retried = await ask({ target: { session: live }, dueAt: at(0) })
  await until(async () => {
    await clock.advance(500)
    return (await ending(retried.id)).state === 'ended'
  })

  const { data: endings } = (await request('GET', '/v1/endings?limit=200')).json<{ data: Ending[] }>()
  const results = endings.map(({ state, outcome, failure }) => outcome ?? failure ?? state)
  const attempts = await Promise.all(endings.map(async ({ id }) => (await ending(id)).attempts ?? []))
  const calls = attempts.flat().map(({ status }) => String(status ?? 'none'))
  const answer = await request('GET', '/v1/statistics')
  t.equal(answer.statusCode, 200)
  const { data, ...about } = answer.json()
  t.same(sum(data, 'finished'), tally(results))
  t.same(sum(data, 'calls'), tally(calls))
  t.ok(calls.length > 8 && new Set(results).size > 5, JSON.stringify(tally(calls)))
  const called = attempts.filter((each) => each.length > 0).length
  const counts = data.map((point: { lateness: { count: number } | null }) => point.lateness?.count ?? 0)
  t.equal(
    counts.reduce((a: number, b: number) => a + b),
    called,
  )
  t.same(Object.keys(about), ['step', 'from', 'to'])
  t.equal(about.step, 'minute')
  for (const step of ['hour', 'day']) {
    const whole = (await request('GET', `/v1/statistics?step=${step}`, { as: 'billing' })).json()
    t.same(sum(whole.data, 'finished'), tally(results), step)
    t.same(sum(whole.data, 'calls'), tally(calls), step)
  }
})

onEveryEngine(t, 'how late the first calls were, at each minute', async (t, databaseUrl, engine) => {
  if (engine === 'postgres') await tellNoTime(databaseUrl)
  const { request, ask, clock, at, sandbox, ending, now } = await startScene(t, { databaseUrl })
  await request('POST', '/v1/pause', { as: 'ops', body: { reason: 'so that they are late' } })
  const begin = now + 2 * MINUTE - (now % MINUTE)
  const live = () => sandbox.startSession({ room: sandbox.createRoom().id }).id
  const ids: string[] = []
  for (const late of [1000, 2000, 30_000]) {
    const due = new Date(begin - late).toISOString()
    ids.push((await ask({ target: { session: live() }, dueAt: due })).id)
  }
  await clock.advanceTo(begin)
  await request('POST', '/v1/resume', { as: 'ops', body: { missed: 'do' } })
  for (const id of ids) await until(async () => (await ending(id)).state === 'ended')
  const { data } = (await request('GET', `/v1/statistics?to=${at(HOUR)}&from=${at(0)}`)).json()
  t.equal(data.length, 1)
  t.match(data[0], { finished: { ended: 3 }, calls: { 200: 3 }, lateness: { count: 3, mostMs: 30_000 } })
  t.equal(Date.parse(data[0].at), begin)
  t.ok(Math.abs(data[0].lateness.p50Ms - 2000) <= 200, data[0].lateness.p50Ms)
})

t.test('spans, and what is refused', async (t) => {
  const { request, now, at } = await startScene(t)
  const asked = async (query: string) => (await request('GET', `/v1/statistics?${query}`)).json()
  const floor = (time: number, step: number) => new Date(time - (time % step)).toISOString()
  const ceil = (time: number, step: number) => new Date(Math.ceil(time / step) * step).toISOString()
  for (const [step, ms, span] of [
    ['minute', MINUTE, HOUR],
    ['hour', HOUR, 24 * HOUR],
    ['day', 24 * HOUR, 30 * 24 * HOUR],
  ] as const) {
    const expected = { step, from: floor(now - span, ms), to: ceil(now, ms), data: [] }
    t.same(await asked(`step=${step}`), expected)
  }
  t.same(await asked('from=2026-01-01T10:00:30%2B01:00&to=2026-01-01T09:02:00Z'), {
    step: 'minute',
    from: '2026-01-01T09:00:00.000Z',
    to: '2026-01-01T09:02:00.000Z',
    data: [],
  })
  for (const [step, ms, most] of [
    ['minute', MINUTE, 1440],
    ['hour', HOUR, 744],
    ['day', 24 * HOUR, 366],
  ] as const) {
    const spanned = (length: number) => `step=${step}&to=${at(0)}&from=${at(-length)}`
    t.equal((await request('GET', `/v1/statistics?${spanned(most * ms)}`)).statusCode, 200)
    const { status, errors } = await asked(spanned(most * ms + 1))
    t.equal(status, 422)
    t.match(errors, [{ pointer: '/from', detail: `at most ${most} points` }])
    t.match(errors[0].detail, at(-most * ms), 'what would be right')
  }
  const refused: Array<[query: string, pointer: string]> = [
    [`from=${at(0)}&to=${at(0)}`, '/from'],
    [`from=${at(1)}&to=${at(0)}`, '/from'],
    [`from=${at(1)}`, '/from'],
    ['from=yesterday', '/from'],
    ['to=2026-02-30T00:00:00Z', '/to'],
    ['step=week', '/step'],
    ['step=minute&step=hour', '/step'],
    ['until=now', '/until'],
  ]
  for (const [query, pointer] of refused) {
    const { status, errors } = await asked(query)
    t.equal(status, 422, query)
    t.equal(errors?.[0]?.pointer, pointer, query)
  }
  t.equal((await request('GET', '/v1/statistics', { as: null })).statusCode, 401)
  t.equal((await request('GET', `/v1/statistics?x=${randomUUID()}`)).statusCode, 422)
})

type Counted = Record<'finished' | 'calls', Record<string, number>>

function sum(points: Counted[], what: 'finished' | 'calls'): Record<string, number> {
  const names = points.flatMap((point) =>
    Object.entries(point[what]).flatMap(([name, count]) => Array(count).fill(name)),
  )
  return tally(names)
}

function tally(names: string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names.filter((one) => one !== 'pending')) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
