import t, { type Test } from 'tap'
import type { Engine } from '../../src/storage/schema.ts'
import { ENGINES } from '../helper/engines.ts'
import { freshUrlInMemory } from './databases.ts'
import { simulate } from './simulate.ts'

/** The short form; `npm run simulate -- crowd [steps] [seed] [engine]` is the long one. */
const ROOMS = 4
const HOURS = 1

t.setTimeout(120_000)

// Found once that an ending which was moved while it waited to ask whether credentials work kept all others from asking.
const FOUND = 2789473142

for (const engine of ENGINES)
  t.test(
    `three callers and an operator in ${ROOMS} rooms, calls held up now and then (${engine})`,
    async (t) => crowd(t, engine, Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))),
  )

t.test(`the same with seed ${FOUND}`, async (t) => crowd(t, 'sqlite', FOUND))

async function crowd(t: Test, engine: Engine, seed: number): Promise<void> {
  t.comment(`SEED=${seed}`)
  const databaseUrl = await freshUrlInMemory(t, engine)
  const report = await simulate({ plot: 'crowd', engine, databaseUrl, rooms: ROOMS, hours: HOURS, seed })
  const { faults, ...figures } = report
  t.comment(JSON.stringify(figures))
  for (const fault of faults.slice(0, 5)) t.fail(`SEED=${seed} (${engine})`, { story: fault })
  t.equal(faults.length, 0, `seed ${seed}: nobody's step changes what another is owed`)
  t.ok(figures.steps > 100, `${figures.steps} steps`)
}
