import fc from 'fast-check'
import t, { type Test } from 'tap'
import { targetOf } from '../../src/ending.ts'
import type { Ledger } from '../../src/storage/ledger.ts'
import { freshUrl, onEveryEngine, open } from '../helper/engines.ts'
import { ManualClock } from '../helper/manual-clock.ts'
import { type Delivery, deliveries, knownEvents, NOW, type Ties, type Told } from './histories.ts'

const RUNS = 80

/** Two senders who use the same names for different things. */
const scenes = (ties: Ties) =>
  fc.record({
    senders: fc.tuple(deliveries(ties), deliveries(ties)),
    bookingGraceMs: fc.constantFrom(0, 90_000),
  })
type Scene = { senders: [Delivery, Delivery]; bookingGraceMs: number }

async function tell(ledger: Ledger, sender: string, batch: Told[], bookingGraceMs: number) {
  const results = await ledger.events(sender, knownEvents(batch, sender, bookingGraceMs))
  if (!Array.isArray(results)) throw new Error(results.obstacle)
  return results
}

/** Both senders' batches, turn and turn about. */
async function tellAll(ledger: Ledger, names: string[], { senders, bookingGraceMs }: Scene) {
  const most = Math.max(...senders.map(({ batches }) => batches.length))
  for (let i = 0; i < most; i += 1)
    for (const [who, { batches }] of senders.entries())
      await tell(ledger, names[who] as string, batches[i] ?? [], bookingGraceMs)
}

const rows = (ledger: Ledger, requestedBy: string) => ledger.list({ requestedBy }, 1000)

/** What is to be ended, in an order that does not depend on when it was stored. */
async function pending(ledger: Ledger, sender: string): Promise<string[]> {
  const left = (await rows(ledger, sender)).filter(({ state }) => state === 'pending')
  return left
    .map(({ target_kind: kind, target_id: id, due_at: dueAt, next_attempt_at: next, reason, key, subject }) =>
      JSON.stringify([targetOf(kind, id), new Date(dueAt), next === dueAt, reason, key, subject]),
    )
    .sort()
}

type Database = Awaited<ReturnType<typeof open>>

/** A fresh ledger for each run costs too much; one that is emptied stays as fast as it was. */
async function empty({ db }: Database): Promise<void> {
  for (const table of ['endings', 'events', 'subjects'] as const) await db.deleteFrom(table).execute()
}

async function check(t: Test, database: Database, ties: Ties) {
  const seed = Number(process.env.SEED ?? Date.now() % 0x7fffffff)
  t.comment(`fast-check's seed: ${seed} (again with SEED=${seed})`)
  const property = fc.asyncProperty(scenes(ties), likeOrdered(database.ledger))
  await fc.assert(
    property.beforeEach(() => empty(database)),
    { seed, numRuns: RUNS },
  )
  t.pass(`${RUNS} histories`)
}

/** What was told already is a duplicate and changes nothing. */
async function tellAgain(ledger: Ledger, sender: string, { batches }: Delivery): Promise<void> {
  const before = JSON.stringify(await rows(ledger, sender))
  const results = await tell(ledger, sender, batches.flat().reverse(), 0)
  if (results.some(({ status, changed }) => status !== 'duplicate' || changed.length > 0))
    throw new Error(`not only duplicates: ${results.map(({ status }) => status)}`)
  if (JSON.stringify(await rows(ledger, sender)) !== before) throw new Error('a repeat changed something')
}

const likeOrdered = (ledger: Ledger) => async (scene: Scene) => {
  const names = ['one', 'other']
  await tellAll(ledger, names, scene)
  for (const [i, delivery] of scene.senders.entries()) {
    const sender = names[i] as string
    await tell(ledger, `${sender}-once`, delivery.ordered, scene.bookingGraceMs)
    const [is, should] = [await pending(ledger, sender), await pending(ledger, `${sender}-once`)]
    if (JSON.stringify(is) !== JSON.stringify(should))
      throw new Error(`sender ${i}: pending\n${is.join('\n')}\ninstead of\n${should.join('\n')}`)
    await tellAgain(ledger, sender, delivery)
  }
}

onEveryEngine(t, 'however events arrive, what is left to do is what happened', async (t, url) => {
  await check(t, await open(t, url, new ManualClock(NOW)), 'silent')
})

t.test('also where what is cancelled tells other fields at the same time', async (t) => {
  const database = await open(t, await freshUrl(t, 'sqlite'), new ManualClock(NOW))
  await check(t, database, 'telling')
})
