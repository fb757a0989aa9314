import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { Ending } from '../../src/routes/ending-schemas.ts'
import { onEveryEngine } from '../helper/engines.ts'
import { until } from '../helper/service.ts'
import { HOUR, type Scene, startScene } from './scene.ts'

interface Page {
  data: Ending[]
  nextCursor: string | null
}

async function list({ request }: Scene, query: Record<string, string | number> = {}): Promise<Page> {
  const search = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]))
  const answer = await request('GET', `/v1/endings?${search}`)
  if (answer.statusCode !== 200) throw new Error(answer.body)
  return answer.json()
}

const idsOf = (endings: Ending[]) => endings.map(({ id }) => id)

/** All that following the cursors leads to; `between` happens after each page. */
async function walk(
  scene: Scene,
  query: Record<string, string | number>,
  between: () => Promise<unknown> = async () => undefined,
): Promise<string[][]> {
  const pages: string[][] = []
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page: Page = await list(scene, cursor ? { ...query, cursor } : query)
    pages.push(idsOf(page.data))
    cursor = page.nextCursor
    await between()
  }
  return pages
}

onEveryEngine(
  t,
  '120 endings, page by page, newest first, without loss or repetition',
  async (t, databaseUrl) => {
    const scene = await startScene(t, { databaseUrl })
    const made: string[] = []
    for (let index = 0; index < 120; index += 1) {
      const { id } = await scene.ask({
        reason: index % 2 === 0 ? 'even' : 'odd',
        dueAt: scene.at(HOUR - index),
      })
      made.unshift(id)
      // A few share a millisecond, the others do not.
      if (index % 7 === 0) await scene.clock.advance(1)
    }
    const first = await list(scene)
    t.same(idsOf(first.data), made.slice(0, 50), 'fifty, unless asked otherwise')
    t.type(first.nextCursor, 'string')
    t.notOk('attempts' in (first.data[0] as Ending), 'a list does without attempts')
    t.same(await scene.ending(made[0] as string), { ...first.data[0], attempts: [], changes: [] })
    for (const [limit, pages] of [
      [1, 120],
      [7, 18],
      [60, 2],
      [119, 2],
      [120, 1],
      [200, 1],
    ] as const) {
      const walked = await walk(scene, { limit })
      t.equal(walked.length, pages, `${pages} pages of ${limit}`)
      t.same(walked.flat(), made)
    }
    const odd = made.filter((_, index) => index % 2 === 0)
    t.same((await walk(scene, { limit: 25, reason: 'odd' })).flat(), odd, 'with a filter')
    const during = await walk(scene, { limit: 50 }, () => scene.ask())
    t.same(during.flat(), made, 'what is made meanwhile shifts nothing')
  },
)

onEveryEngine(t, 'each filter finds exactly what it should', async (t, databaseUrl) => {
  const scene = await startScene(t, { databaseUrl })
  const { ask, at, request, finished, ending, sandbox } = scene
  const session = randomUUID()
  const roomId = randomUUID()
  const bySession = await ask({ target: { session }, reason: 'one', key: 'a b&c=d/ü%' })
  const byRoom = await ask({ target: { room: 'abc' }, dueAt: at(2 * HOUR) })
  const byRoomId = await ask({ target: { room: roomId }, dueAt: at(3 * HOUR) })
  const byExternal = await ask({ target: { roomExternalId: 'abc' } }, { as: 'billing' })
  const ended = await finished('ended')
  const failed = await finished('failed')
  const cancelled = await finished('cancelled')

  const live = sandbox.startSession({ room: sandbox.createRoom({ friendlyUrl: 'lively' }).id })
  const roomEnding: Ending = (await request('POST', '/v1/rooms/lively/end')).json()
  await until(async () => (await ending(roomEnding.id)).state === 'ended')

  const all = [bySession, byRoom, byRoomId, byExternal, ended, failed, cancelled, roomEnding]
  const cases: [query: Record<string, string>, found: Ending[]][] = [
    [{}, all],
    [{ state: 'pending' }, [bySession, byRoom, byRoomId, byExternal]],
    [{ state: 'ended' }, [ended, roomEnding]],
    [{ state: 'failed' }, [failed]],
    [{ state: 'cancelled' }, [cancelled]],
    [{ reason: 'one' }, [bySession]],
    [{ reason: 'on' }, []],
    [{ session }, [bySession]],
    [{ session: session.toUpperCase() }, [bySession]],
    [{ session: live.id }, [roomEnding]],
    [{ session: randomUUID() }, []],
    [{ room: 'abc' }, [byRoom]],
    [{ room: 'ABC' }, []],
    [{ room: 'lively' }, [roomEnding]],
    [{ room: roomId }, [byRoomId]],
    [{ room: roomId.toUpperCase() }, [byRoomId]],
    [{ room: session }, []],
    [{ key: 'a b&c=d/ü%' }, [bySession]],
    [{ key: 'a' }, []],
    [{ subject: 'account:1' }, []],
    [{ requestedBy: 'billing' }, [byExternal]],
    [{ requestedBy: 'nobody' }, []],
    [{ dueBefore: at(0) }, []],
    [{ dueBefore: at(1) }, [ended, failed, roomEnding]],
    [{ dueAfter: at(HOUR) }, [byRoom, byRoomId]],
    [{ dueAfter: at(HOUR), dueBefore: at(3 * HOUR) }, [byRoom]],
    [{ dueAfter: at(2 * HOUR).replace('Z', '+01:00') }, [byRoom, byRoomId]],
    [{ state: 'pending', requestedBy: 'booking', reason: 'requested' }, [byRoom, byRoomId]],
    [{ state: 'ended', reason: 'one' }, []],
  ]
  for (const [query, found] of cases) {
    const { data, nextCursor } = await list(scene, query)
    t.same(idsOf(data), idsOf(found).reverse(), JSON.stringify(query))
    t.equal(nextCursor, null)
  }
})
