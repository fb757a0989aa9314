import { sql } from 'kysely'
import t from 'tap'
import { GroupCommit } from '../../src/storage/engine/group-commit.ts'
import { freshUrl, onEveryEngine, open } from '../helper/engines.ts'
import { put } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'

onEveryEngine(
  t,
  "what arrives together shares a commit, and one's violation is not another's",
  async (t, url) => {
    const { db, ledger } = await open(t, url, new ManualClock(1000))
    const commits = new GroupCommit(db)
    const { id } = await put(ledger)
    const control = (until: number) =>
      commits.run((trx) =>
        trx
          .insertInto('control')
          .values({ name: 'pause', since: 1, until, why: '' })
          .execute()
          .then(() => until),
      )
    const settled = await Promise.allSettled([
      commits.run((trx) => trx.updateTable('endings').set({ reason: 'a' }).where('id', '=', id).execute()),
      control(1),
      control(2),
      commits.run(() => Promise.reject(new Error('of its own'))),
      commits.run((trx) => trx.updateTable('endings').set({ subject: 'b' }).where('id', '=', id).execute()),
    ])
    t.same(
      settled.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'rejected', 'rejected', 'fulfilled'],
    )
    t.match(settled[3], { reason: { message: 'of its own' } })
    t.match(await ledger.find(id), { reason: 'a', subject: 'b' })
    t.match(await ledger.control(), [{ until: 1 }])
  },
)

onEveryEngine(t, 'nobody is told before the commit, and what cannot begin is told to all', async (t, url) => {
  const { db, ledger, close } = await open(t, url, new ManualClock(1000))
  const commits = new GroupCommit(db)
  const { id } = await put(ledger)
  const first = commits.run((trx) =>
    trx.updateTable('endings').set({ reason: 'a' }).where('id', '=', id).execute(),
  )
  const second = commits.run(async (trx) => {
    const row = await trx.selectFrom('endings').select('reason').where('id', '=', id).executeTakeFirst()
    return row?.reason
  })
  t.equal(await second, 'a', 'one transaction')
  await first
  await close()
  const lost = await Promise.allSettled([commits.run(async () => 1), commits.run(async () => 2)])
  t.same(
    lost.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
})

onEveryEngine(t, 'long work keeps nobody waiting for more than one piece of it', async (t, url) => {
  const { db } = await open(t, url, new ManualClock(1000))
  const commits = new GroupCommit(db)
  const done: string[] = []
  const long = async () => {
    // Longer than a commit may take: what is behind it has to have one of its own.
    for (const end = performance.now() + 30; performance.now() < end; );
  }
  const run = (name: string, work: () => Promise<unknown>, isLong = false) =>
    commits.run(work, { isLong }).then(() => done.push(name))
  const first = run('long 1', long, true)
  const others = [run('long 2', long, true), run('long 3', long, true)]
  await first
  // The second has begun by now.
  await Promise.all([...others, run('quick', async () => {})])
  t.same(done, ['long 1', 'long 2', 'quick', 'long 3'])
})

onEveryEngine(t, 'work of one commit is done in its order, whoever came first', async (t, url) => {
  const { db } = await open(t, url, new ManualClock(1000))
  const commits = new GroupCommit(db)
  const done: string[] = []
  const run = (order?: string) =>
    commits.run(async () => void done.push(order ?? 'none'), order ? { order } : {})
  await Promise.all([run('c'), run('a'), run(), run('b')])
  t.same(done, ['none', 'a', 'b', 'c'])
})

t.test('a disk that is full', async (t) => {
  const { db, ledger } = await open(t, await freshUrl(t, 'sqlite'), new ManualClock(1000))
  const { id } = await put(ledger)
  const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(db)
  await sql`pragma max_page_count = ${sql.lit(rows[0]?.page_count)}`.execute(db)
  const big = Array.from({ length: 20 }, () => put(ledger, { metadata: { text: 'x'.repeat(4000) } }))
  const settled = await Promise.allSettled(big)
  t.ok(settled.some(({ status }) => status === 'rejected'))
  for (const result of settled)
    if (result.status === 'rejected') t.match(result.reason, { code: 'STORAGE_UNAVAILABLE' })
  const accepted = settled.filter(({ status }) => status === 'fulfilled').length
  t.equal((await ledger.backlog()).pending, accepted + 1, 'exactly what was said to be stored is stored')
  await sql`pragma max_page_count = 1000000`.execute(db)
  await put(ledger)
  t.match(await ledger.find(id), { state: 'pending' }, 'and it goes on when there is room again')
})
