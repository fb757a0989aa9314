import t from 'tap'
import { seeded } from '../helper/crash.ts'
import { startPostgres } from '../helper/postgres.ts'
import { chaos } from './chaos.ts'

/** The short form; `npm run chaos -- [seconds] [seeds] [first seed]` is the long one. */
const MS = 60_000

t.setTimeout(240_000)

t.test('three replicas, and everything that can go wrong', async (t) => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.stop())
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
  const { faults, ...figures } = await chaos(postgres, MS, seed, seeded(seed))
  t.comment(JSON.stringify(figures))
  t.same(faults, [], `seed ${seed}: what was accepted is done, and nothing else`)
  t.ok(figures.accepted > 100, `${figures.accepted} accepted`)
})
