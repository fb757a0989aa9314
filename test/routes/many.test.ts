import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { Ending } from '../../src/routes/ending-schemas.ts'
import { onEveryEngine } from '../helper/engines.ts'
import { isProblem } from './problems.ts'
import { HOUR, type Scene, startScene } from './scene.ts'

type As = 'booking' | 'billing' | 'ops'

const many = ({ request }: Scene, change: 'cancel' | 'retry', body: object, as: As = 'booking') =>
  request('POST', `/v1/endings/${change}`, { body, as })

async function made(scene: Scene, count: number, body: object = {}, as: As = 'booking'): Promise<Ending[]> {
  const all: Ending[] = []
  for (let i = 0; i < count; i += 1) all.push(await scene.ask({ dueAt: scene.at(HOUR + i), ...body }, { as }))
  return all
}

const ids = (endings: Ending[]) => endings.map(({ id }) => id)
const states = async ({ ending }: Scene, all: Ending[]) =>
  Promise.all(all.map(async ({ id }) => (await ending(id)).state))

onEveryEngine(
  t,
  'cancelled by filter: shown first, then done, and what else there is stays',
  async (t, databaseUrl) => {
    const scene = await startScene(t, { databaseUrl })
    const wrong = await made(scene, 230, { reason: 'mistake' })
    const right = await made(scene, 3)
    const foreign = await made(scene, 2, { reason: 'mistake' }, 'billing')
    const filter = { reason: 'mistake' }
    const shown = (await many(scene, 'cancel', { filter, dryRun: true })).json()
    t.strictSame(shown, {
      matched: 230,
      changed: 230,
      skipped: 0,
      endings: ids(wrong).slice(0, 100),
      more: false,
      dryRun: true,
    })
    t.strictSame(new Set(await states(scene, wrong)), new Set(['pending']))
    const done = (await many(scene, 'cancel', { filter })).json()
    t.strictSame(done, { ...shown, dryRun: false })
    t.strictSame(new Set(await states(scene, wrong)), new Set(['cancelled']))
    t.strictSame(new Set(await states(scene, [...right, ...foreign])), new Set(['pending']))
    t.match(await scene.ending((wrong[7] as Ending).id), {
      changes: [{ change: 'cancelled', by: 'booking' }],
    })
    t.match((await many(scene, 'cancel', { filter })).json(), { matched: 0, changed: 0, endings: [] })
    const all = (await many(scene, 'cancel', { filter }, 'ops')).json()
    t.match(all, { matched: 2, changed: 2, endings: ids(foreign) }, "an operator's filter finds all")
  },
)

onEveryEngine(t, 'what is being carried out is skipped', async (t, databaseUrl) => {
  const scene = await startScene(t, { databaseUrl })
  const underway = await scene.underway({ subject: undefined, key: 'now' })
  const [waiting] = await made(scene, 1)
  const answer = (await many(scene, 'cancel', { filter: { requestedBy: 'booking' } })).json()
  t.match(answer, { matched: 2, changed: 1, skipped: 1, endings: [(waiting as Ending).id] })
  t.match(await scene.ending(underway.id), { state: 'pending' })
})

onEveryEngine(t, 'holds of what is cancelled are lifted with it', async (t, databaseUrl) => {
  const scene = await startScene(t, { databaseUrl })
  const room = { target: { room: 'closed-room' }, holdUntil: scene.at(3 * HOUR), reason: 'mistake' }
  await made(scene, 1, room)
  t.equal((await scene.request('GET', '/v1/holds')).json().data.length, 1)
  t.match((await many(scene, 'cancel', { filter: { room: 'closed-room' } })).json(), { changed: 1 })
  t.strictSame((await scene.request('GET', '/v1/holds')).json().data, [])
})

onEveryEngine(
  t,
  'retried by what they failed of, without those whose key is taken',
  async (t, databaseUrl) => {
    const scene = await startScene(t, { databaseUrl })
    const failed = await scene.finished('failed', { key: 'one' })
    const lost = await scene.finished('failed', { key: 'two' })
    await scene.ask({ key: 'two' })
    const foreign = await scene.request('POST', '/v1/endings', {
      body: { target: { session: randomUUID() } },
      as: 'billing',
      headers: { prefer: 'wait=10' },
    })
    t.match(foreign.json(), { state: 'failed' })
    const filter = { failure: 'session_not_found' }
    const wanted = { matched: 2, changed: 1, skipped: 1, endings: [failed.id] }
    t.match((await many(scene, 'retry', { filter, dryRun: true })).json(), wanted)
    t.match(await scene.ending(failed.id), { state: 'failed' })
    t.match((await many(scene, 'retry', { filter })).json(), wanted)
    t.match(await scene.ending(failed.id), { changes: [{ change: 'retried', by: 'booking' }] })
    t.match(await scene.ending(lost.id), { state: 'failed' })
    t.match(await scene.ending(foreign.json().id), { state: 'failed' })
  },
)

t.test('what has to be said, and by whom', async (t) => {
  const scene = await startScene(t)
  for (const [change, body, pointer] of [
    ['cancel', {}, '/filter'],
    ['cancel', { filter: {} }, '/filter'],
    ['cancel', { filter: { limit: '5' } }, '/filter/limit'],
    ['cancel', { filter: { state: 'failed' } }, '/filter/state'],
    ['retry', { filter: { state: 'pending' } }, '/filter/state'],
    ['retry', { filter: { failure: 'tired' } }, '/filter/failure'],
    ['cancel', { filter: { dueBefore: 'soon' } }, '/filter/dueBefore'],
    ['cancel', { filter: { reason: 'x' }, dryRun: 'yes' }, '/dryRun'],
  ] as const)
    t.match(
      (await many(scene, change, body)).json(),
      { status: 422, errors: [{ pointer }] },
      `${change} ${JSON.stringify(body)}`,
    )
  const other = await many(scene, 'cancel', { filter: { requestedBy: 'billing' } })
  isProblem(t, other, 403, 'forbidden')
  isProblem(t, await scene.request('POST', '/v1/endings/cancel', { body: {}, as: null }), 401, 'unauthorized')
})

onEveryEngine(t, 'what is to come, the earliest first, page by page', async (t, databaseUrl) => {
  const scene = await startScene(t, { databaseUrl })
  const dues = [5, 3, 9, 1, 1, 7, 3, 2, 8, 6]
  const all: Ending[] = []
  for (const [i, due] of dues.entries())
    all.push(await scene.ask({ dueAt: scene.at(due * HOUR), urgent: i % 3 === 0, reason: i < 8 ? 'a' : 'b' }))
  await scene.finished('cancelled')
  const sorted = all.sort((a, b) =>
    a.dueAt === b.dueAt ? (a.id < b.id ? -1 : 1) : a.dueAt < b.dueAt ? -1 : 1,
  )
  const list = async (query: string) => (await scene.request('GET', `/v1/endings?sort=dueAt&${query}`)).json()
  for (const limit of [1, 3, 10, 50]) {
    const found: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: { data: Ending[]; nextCursor: string | null } = await list(
        `limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`,
      )
      found.push(...ids(page.data))
      cursor = page.nextCursor
    }
    t.strictSame(found, ids(sorted), `${limit} at a time`)
  }
  t.strictSame(ids((await list('reason=b')).data), ids(sorted.filter(({ reason }) => reason === 'b')))
  const window = `dueAfter=${scene.at(2 * HOUR)}&dueBefore=${scene.at(7 * HOUR)}`
  const within = sorted.filter(({ dueAt }) => dueAt > scene.at(2 * HOUR) && dueAt < scene.at(7 * HOUR))
  t.strictSame(ids((await list(window)).data), ids(within))
  for (const [query, pointer] of [
    ['sort=dueAt&state=failed', '/state'],
    [`sort=dueAt&cursor=${randomUUID()}`, '/cursor'],
    [`cursor=17.${randomUUID()}`, '/cursor'],
    ['sort=id', '/sort'],
  ] as const)
    t.match(
      (await scene.request('GET', `/v1/endings?${query}`)).json(),
      { status: 422, errors: [{ pointer }] },
      query,
    )
})

onEveryEngine(t, 'by what they failed of, and by when they finished', async (t, databaseUrl) => {
  const scene = await startScene(t, { databaseUrl })
  const failed = await scene.finished('failed')
  await scene.clock.advance(1000)
  const ended = await scene.finished('ended')
  await scene.ask()
  const list = async (query: string) =>
    ids((await scene.request('GET', `/v1/endings?${query}`)).json().data as Ending[])
  const moment = new Date(Date.parse(failed.finishedAt as string) + 500).toISOString()
  t.strictSame(await list('failure=session_not_found'), [failed.id])
  t.strictSame(await list('failure=gave_up'), [])
  t.strictSame(await list(`finishedBefore=${moment}`), [failed.id])
  t.strictSame(await list(`finishedAfter=${moment}`), [ended.id])
  t.strictSame(await list(`finishedAfter=${moment}&failure=session_not_found`), [])
})
