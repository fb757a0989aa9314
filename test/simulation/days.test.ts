import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Engine } from '../../src/storage/schema.ts'
import { ENGINES, freshUrl } from '../helper/engines.ts'
import { simulate } from './simulate.ts'

/** The short form; `npm run simulate -- [rooms] [hours] [seed] [engine]` is the long one. */
const ROOMS = 30
const HOURS = 3

t.setTimeout(120_000)

for (const engine of ENGINES)
  t.test(`${HOURS} simulated hours of ${ROOMS} rooms (${engine})`, async (t) => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))
    t.comment(`SEED=${seed}`)
    const databaseUrl = await urlFor(t, engine)
    const { faults, ...report } = await simulate({ engine, databaseUrl, rooms: ROOMS, hours: HOURS, seed })
    t.comment(JSON.stringify(report))
    for (const fault of faults.slice(0, 5)) t.fail(`SEED=${seed} (${engine})`, { story: fault })
    t.equal(faults.length, 0, `seed ${seed}: every session as was asked, and nothing else`)
    t.ok(report.onTime.sessions > 0 && report.onTime.latest <= 1000, 'undisturbed ends are in time')
    t.ok(report.warnings > 0, 'people are warned')
  })

// What is tested is not whether a disk keeps its word, and waiting for one takes most of the time.
async function urlFor(t: Test, engine: Engine): Promise<string> {
  if (engine === 'postgres') return freshUrl(t, engine)
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'curfew-test-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return `file:${join(folder, 'curfew.db')}`
}
