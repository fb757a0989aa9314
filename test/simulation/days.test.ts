import t from 'tap'
import { ENGINES } from '../helper/engines.ts'
import { freshUrlInMemory } from './databases.ts'
import { simulate } from './simulate.ts'

/** The short form; `npm run simulate -- [rooms] [hours] [seed] [engine]` is the long one. */
const ROOMS = 20
const HOURS = 1

t.setTimeout(120_000)

for (const engine of ENGINES)
  t.test(`${HOURS} simulated hour of ${ROOMS} rooms (${engine})`, async (t) => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))
    t.comment(`SEED=${seed}`)
    const databaseUrl = await freshUrlInMemory(t, engine)
    const { faults, ...report } = await simulate({ engine, databaseUrl, rooms: ROOMS, hours: HOURS, seed })
    t.comment(JSON.stringify(report))
    for (const fault of faults.slice(0, 5)) t.fail(`SEED=${seed} (${engine})`, { story: fault })
    t.equal(
      faults.length,
      0,
      `seed ${seed}: every session as was asked, who had to be warned was, and nothing else`,
    )
    t.ok(report.onTime.sessions > 0 && report.onTime.latest <= 1000, 'undisturbed ends are in time')
  })
