import t from 'tap'
import { dumpOf } from '../helper/dump.ts'
import { onEveryEngine } from '../helper/engines.ts'
import { startReceiver, tells } from '../helper/receiver.ts'
import { type CallerName, startService, until } from '../helper/service.ts'

const READER = 'reader-key-00000000000000'

onEveryEngine(
  t,
  'notifications are listed, one’s own, and all for operators and readers',
  async (t, databaseUrl) => {
    const receivers = { booking: await startReceiver(t), desk: await startReceiver(t) }
    receivers.desk.answer = (_, response) => void response.writeHead(410).end('gone')
    const service = await startService(t, {
      databaseUrl,
      env: { ...tells(receivers), READ_KEYS: `wall:${READER}` },
    })
    const { request } = service
    const later = { dueAt: new Date(Date.now() + 3_600_000).toISOString() }
    const ids: Record<string, string[]> = { booking: [], desk: [] }
    for (const as of ['booking', 'desk', 'billing'] as CallerName[])
      for (let i = 0; i < 3; i += 1) {
        const asked = await request('POST', '/v1/rooms/some-room/end', { as, body: later })
        const { id } = asked.json()
        ids[as]?.push(id)
        await request('POST', `/v1/endings/${id}/cancel`, { as: 'ops' })
      }
    const list = async (query = '', as: CallerName = 'booking') =>
      (await request('GET', `/v1/notifications${query}`, { as })).json()
    await until(async () => (await list('?state=pending', 'ops')).data.length === 0)

    const own = await list()
    t.same(own.data.map(({ ending }: { ending: string }) => ending).reverse(), ids.booking, 'newest first')
    t.match(own.data[0], {
      caller: 'booking',
      type: 'curfew.ending.cancelled',
      state: 'told',
      lastStatus: 204,
    })
    t.equal((await list('', 'ops')).data.length, 6, 'billing has no URL')
    t.equal((await list('?caller=desk&state=failed', 'ops')).data.length, 3)
    t.equal((await list('?type=curfew.ending.ended', 'ops')).data.length, 0)
    t.same((await list(`?ending=${ids.desk?.[0]}`, 'ops')).data.length, 1)
    t.same((await list(`?ending=${ids.desk?.[0]}`)).data, [], "another's")
    const reader = { headers: { authorization: `Bearer ${READER}` }, as: null }
    t.equal((await request('GET', '/v1/notifications', reader)).json().data.length, 6)
    t.equal(
      (await request('POST', '/v1/notifications/retry', { ...reader, body: { filter: { caller: 'desk' } } }))
        .statusCode,
      403,
    )

    const first = await list('?limit=2')
    const rest = await list(`?limit=2&cursor=${first.nextCursor}`)
    t.same([...first.data, ...rest.data], own.data)
    t.equal(rest.nextCursor, null)

    const [{ id: others }] = (await list('?caller=desk', 'ops')).data
    t.equal((await request('GET', `/v1/notifications/${others}`)).statusCode, 403)
    t.match((await request('GET', `/v1/notifications/${others}`, { as: 'desk' })).json(), {
      id: others,
      state: 'failed',
      tries: [{ attempt: 1, status: 410, error: 'answered 410', answer: 'gone' }],
    })
    t.equal((await request('GET', '/v1/notifications?caller=desk')).statusCode, 403)
    t.equal((await request('GET', `/v1/notifications/${ids.desk?.[0]}`)).statusCode, 404)
    t.equal((await request('GET', '/v1/notifications/nothing')).statusCode, 422)
    t.equal((await request('GET', '/v1/notifications?type=cancelled')).statusCode, 422)

    const { notifications } = (await request('GET', `/v1/endings/${ids.desk?.[0]}`)).json()
    t.match(notifications, [
      { type: 'curfew.ending.cancelled', state: 'failed', attempt: 1, lastStatus: 410 },
    ])
    t.match((await request('GET', '/status')).json().notifications, { pending: 0, failed: 3 })
  },
)

onEveryEngine(t, 'what is only tried out is told to nobody', async (t, databaseUrl) => {
  const booking = await startReceiver(t)
  const { request } = await startService(t, { databaseUrl, env: tells({ booking }) })
  const later = { dueAt: new Date(Date.now() + 3_600_000).toISOString() }
  const { id } = (await request('POST', '/v1/rooms/some-room/end', { body: later })).json()
  const before = await dumpOf(databaseUrl)
  const tried = await request('POST', `/v1/endings/${id}/cancel?dryRun=true`, { as: 'ops' })
  t.match(tried.json(), { dryRun: true, state: 'cancelled' })
  t.same(await dumpOf(databaseUrl), before)
  t.same(booking.received, [])
})
