import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { GroupCommit } from '../../src/storage/engine/group-commit.ts'
import { LogSync } from '../../src/storage/engine/log-sync.ts'
import { Ledger } from '../../src/storage/ledger.ts'
import { freshUrl, open } from '../helper/engines.ts'
import { instruction } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'

/** A log whose syncs end when the test says so. */
function log(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-log-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'log'), 'log')
  const syncs: PromiseWithResolvers<void>[] = []
  const sync = () => {
    const one = Promise.withResolvers<void>()
    syncs.push(one)
    return one.promise
  }
  const syncNow = () => t.fail('it is not known yet how quick this disk is')
  return { log: new LogSync(join(folder, 'log'), { sync, syncNow }), syncs }
}

/** A disk that answers at once unless it is told how long to take (ms), and which way it was asked each time. */
function quickDisk(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-log-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'log'), 'log')
  const asked: Array<'aside' | 'now'> = []
  const disk = { takesMs: 0, asked, error: undefined as Error | undefined }
  const answer = (how: 'aside' | 'now') => {
    asked.push(how)
    for (const until = performance.now() + disk.takesMs; performance.now() < until; );
    if (disk.error) throw disk.error
  }
  const log = new LogSync(join(folder, 'log'), {
    sync: async () => answer('aside'),
    syncNow: () => answer('now'),
  })
  t.teardown(() => log.close())
  return { log, disk }
}

t.test('a disk that has been quick long enough is waited for, until it is slow once', async (t) => {
  const { log, disk } = quickDisk(t)
  const ask = async (times: number) => {
    for (let i = 0; i < times; i += 1) await log.sync()
    return disk.asked.splice(0)
  }
  // Where this machine itself was slow it begins anew.
  const proven = async () => {
    for (let i = 0; i < 10_000; i += 1) if ((await ask(1))[0] === 'now') return i
    return undefined
  }
  t.ok(((await proven()) ?? 0) >= 200)
  disk.takesMs = 3
  t.same(await ask(3), ['now', 'aside', 'aside'])
  disk.takesMs = 0
  t.ok(((await proven()) ?? 0) >= 200)
  disk.error = new Error('EIO')
  await t.rejects(log.sync(), { code: 'NOT_SYNCED' })
  disk.error = undefined
  await t.rejects(log.sync(), { code: 'NOT_SYNCED' }, 'none is believed after that')
})

/** What has settled, in its order. */
function settling() {
  const settled: string[] = []
  const watch = (name: string, work: Promise<unknown>) =>
    void work.then(
      () => settled.push(name),
      (error) => settled.push(`${name}: ${error.name}`),
    )
  return { settled, watch }
}

t.test('whoever commits while a sync is running waits for the next', async (t) => {
  const { log: one, syncs } = log(t)
  const { settled, watch } = settling()
  watch('first', one.sync())
  watch('second', one.sync())
  watch('third', one.sync())
  await turn()
  t.equal(syncs.length, 1)
  syncs[0]?.resolve()
  await turn()
  t.same(settled, ['first'], 'that sync had begun before the others had written')
  t.equal(syncs.length, 2, 'which share one')
  syncs[1]?.resolve()
  await turn()
  t.same(settled, ['first', 'second', 'third'])
  await one.close()
})

t.test('after a sync that failed none is believed', async (t) => {
  const { log: one, syncs } = log(t)
  const { settled, watch } = settling()
  watch('first', one.sync())
  watch('second', one.sync())
  syncs[0]?.reject(Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' }))
  await turn()
  await turn()
  watch('third', one.sync())
  await turn()
  t.same(settled, ['first: NotSyncedError', 'second: NotSyncedError', 'third: NotSyncedError'])
  t.equal(syncs.length, 1)
  await one.close()
})

t.test('nothing is acknowledged before it is on the disk, and claims need not be', async (t) => {
  const database = await open(t, await freshUrl(t, 'sqlite'), new ManualClock(1000))
  const syncs: PromiseWithResolvers<void>[] = []
  const sync = () => {
    const one = Promise.withResolvers<void>()
    syncs.push(one)
    return one.promise
  }
  const ledger = new Ledger({ ...database, sync })
  const { settled, watch } = settling()
  watch('stored', ledger.store(instruction({ dueAt: 500 })))
  while (syncs.length < 1) await turn()
  const claimed = await ledger.claim(5, 1000)
  t.equal(claimed.length, 1, 'it can be carried out meanwhile')
  t.same(settled, [])
  syncs[0]?.resolve()
  await turn()
  t.same(settled, ['stored'])
  watch('second', ledger.store(instruction({ dueAt: 500 })))
  while (syncs.length < 2) await turn()
  syncs[1]?.reject(Object.assign(new Error('not synced'), { code: 'NOT_SYNCED' }))
  await turn()
  t.same(settled, ['stored', 'second: StorageError'])
})

t.test('what waits for the disk is answered after it, and what need not wait at once', async (t) => {
  const { db } = await open(t, await freshUrl(t, 'sqlite'), new ManualClock(1000))
  const order: string[] = []
  const commits = new GroupCommit(db, {
    sync: async () => {
      await turn()
      order.push('synced')
    },
  })
  const volatile = {
    run: async (_: unknown, all: number[]) => all,
    isOneStatement: () => false,
    isVolatile: true,
  }
  await commits.run(async () => 1).then(() => order.push('answered'))
  await commits.add(volatile, 1).then(() => order.push('volatile'))
  t.same(order, ['synced', 'answered', 'volatile'])
})
