import t from 'tap'
import type { Batched } from '../../src/storage/engine/group-commit.ts'
import { GroupCommit } from '../../src/storage/engine/group-commit.ts'
import { onEveryEngine, open } from '../helper/engines.ts'
import { ManualClock } from '../helper/manual-clock.ts'

/** Writes down what it was given, and refuses 2. */
function numbers(isOneStatement: boolean) {
  const runs: number[][] = []
  const work: Batched<number, number> = {
    run: async (trx, items) => {
      runs.push([...items])
      for (const until of items)
        await trx
          .insertInto('control')
          .values({ name: until === 2 ? ('nonsense' as 'pause') : 'pause', since: 1, until, why: '' })
          .onConflict((conflict) => conflict.column('name').doUpdateSet({ until }))
          .execute()
      return items.map((item) => item * 10)
    },
    isOneStatement: () => isOneStatement,
  }
  return { work, runs }
}

onEveryEngine(t, 'items that arrive together are done by one run, in their order', async (t, url) => {
  const { db } = await open(t, url, new ManualClock(1000))
  const commits = new GroupCommit(db)
  const { work, runs } = numbers(false)
  t.same(await Promise.all([1, 3, 4].map((item) => commits.add(work, item))), [10, 30, 40])
  t.equal(await commits.add(work, 5), 50)
  t.same(runs, [[1, 3, 4], [5]])
})

onEveryEngine(t, "one's refusal is not another's", async (t, url) => {
  const { db, ledger } = await open(t, url, new ManualClock(1000))
  for (const isOneStatement of [false, true]) {
    const commits = new GroupCommit(db)
    const { work, runs } = numbers(isOneStatement)
    const settled = await Promise.allSettled([1, 2, 3].map((item) => commits.add(work, item)))
    t.same(
      settled.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    t.same(runs.slice(-3), [[1], [2], [3]], 'each by itself in the end')
    t.match(await ledger.control(), [{ until: 3 }])
  }
})

onEveryEngine(t, 'one statement has no transaction around it, several have', async (t, url) => {
  const { db } = await open(t, url, new ManualClock(1000))
  const commits = new GroupCommit(db)
  const inTransaction: boolean[] = []
  const work: Batched<number, number> = {
    run: async (trx, items) => {
      inTransaction.push(trx.isTransaction)
      return items
    },
    isOneStatement: (items) => items.length === 1,
  }
  await commits.add(work, 1)
  await Promise.all([commits.add(work, 1), commits.add(work, 2)])
  await Promise.all([commits.add(work, 1), commits.run(async () => 2)])
  t.same(inTransaction, [false, true, true])
})

onEveryEngine(t, 'after work that could not even begin, the next is begun', async (t, url) => {
  const { db } = await open(t, url, new ManualClock(1000))
  let isReplaced = true
  const commits = new GroupCommit(db, {
    verify: () => {
      if (isReplaced) throw new Error('replaced')
    },
  })
  const { work } = numbers(true)
  await t.rejects(commits.add(work, 1), { message: 'replaced' })
  isReplaced = false
  t.equal(await commits.add(work, 3), 30)
})
