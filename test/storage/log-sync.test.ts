import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { GroupCommit } from '../../src/storage/engine/group-commit.ts'
import { LogSync } from '../../src/storage/engine/log-sync.ts'
import { Ledger } from '../../src/storage/ledger.ts'
import { freshUrl, open } from '../helper/engines.ts'
import { instruction } from '../helper/instructions.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { until } from '../helper/service.ts'

function logFile(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-log-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'log'), 'log')
  return join(folder, 'log')
}

/** A slow disk: the log's syncs end when the test says so. */
async function log(t: Test) {
  const syncs: PromiseWithResolvers<void>[] = []
  const sync = () => {
    const one = Promise.withResolvers<void>()
    syncs.push(one)
    return one.promise
  }
  const log = new LogSync(logFile(t), { sync, syncNow: () => busy(11) })
  await log.sync()
  return { log, syncs }
}

function busy(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until; );
}

/** A disk that takes as long as it is told, and which way it was asked each time. */
function diskOf(t: Test) {
  const asked: Array<'aside' | 'now'> = []
  const disk = { takesMs: 0, error: undefined as Error | undefined }
  const answer = (how: 'aside' | 'now') => {
    asked.push(how)
    busy(disk.takesMs)
    if (disk.error) throw disk.error
  }
  const log = new LogSync(logFile(t), { sync: async () => answer('aside'), syncNow: () => answer('now') })
  t.teardown(() => log.close())
  /** How many of so many syncs were left to another thread. */
  const aside = async (times: number, waiting = 1) => {
    for (let i = 0; i < times; i += 1) await log.sync(waiting)
    return asked.splice(0).filter((how) => how === 'aside').length
  }
  return { log, disk, aside }
}

t.test('a disk that is quick is waited for, and one that was slow is not, for a while', async (t) => {
  const { disk, aside } = diskOf(t)
  disk.takesMs = 11
  t.equal(await aside(1), 0)
  disk.takesMs = 0
  t.equal(await aside(101), 100)
  disk.takesMs = 11
  t.equal(await aside(1), 0)
  disk.takesMs = 0
  t.ok((await aside(201)) > 100, 'the second time for longer')
})

t.test('one that is a little slow each time is not waited for either', async (t) => {
  const { disk, aside } = diskOf(t)
  disk.takesMs = 3
  t.ok((await aside(100)) > 50)
})

t.test('where many wait there is something else to do meanwhile', async (t) => {
  const { aside } = diskOf(t)
  t.equal(await aside(20, 4), 0)
  t.equal(await aside(20, 5), 20)
})

t.test('after an error none is believed, whoever asked the disk', async (t) => {
  const { log, disk } = diskOf(t)
  disk.error = new Error('EIO')
  await t.rejects(log.sync(), { code: 'NOT_SYNCED' })
  disk.error = undefined
  await t.rejects(log.sync(), { code: 'NOT_SYNCED' })
})

t.test(
  'what nobody waits for is on the disk soon, and with the next sync where that comes first',
  async (t) => {
    const { log: one, syncs } = await log(t)
    one.soon()
    one.soon()
    await until(() => syncs.length === 1)
    one.soon()
    syncs[0]?.resolve()
    await until(() => syncs.length === 2) // the one that was running had not seen it
    syncs[1]?.reject(new Error('EIO'))
    await turn()
    await t.rejects(one.sync(), { code: 'NOT_SYNCED' }, 'whoever waits is told')
    await one.close()
  },
)

t.test('a sync that somebody waits for takes along what was to be on the disk soon', async (t) => {
  const { log, aside } = diskOf(t)
  log.soon()
  t.equal(await aside(1), 0)
  await pause(100)
  t.equal(await aside(0), 0, 'nothing was left to be done')
  log.soon()
  await pause(100)
  t.equal(await aside(0), 1, 'where nobody else asked for one')
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
  const { log: one, syncs } = await log(t)
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
  const { log: one, syncs } = await log(t)
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
