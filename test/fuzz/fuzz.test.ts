import t from 'tap'
import { ENGINES } from '../helper/engines.ts'
import { freshUrlInMemory } from '../simulation/databases.ts'
import { fuzz } from './fuzz.ts'

/** The short form; `npm run fuzz -- [mutations] [seed] [engine]` is the long one. */
const MUTATIONS = 150

t.setTimeout(120_000)

for (const engine of ENGINES)
  t.test(
    `${MUTATIONS} answers are changed: nothing is lost and nothing unasked is ended (${engine})`,
    async (t) => {
      const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))
      t.comment(`SEED=${seed}`)
      const databaseUrl = await freshUrlInMemory(t, engine)
      const { faults, ...report } = await fuzz({ databaseUrl, mutations: MUTATIONS, seed })
      t.comment(JSON.stringify(report))
      for (const fault of faults.slice(0, 5)) t.fail(`SEED=${seed} (${engine})`, { story: fault })
      t.same(faults.length, 0, `seed ${seed}`)
      t.ok(report.endings > 30)
    },
  )
