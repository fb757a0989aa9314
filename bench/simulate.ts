import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDatabase, startPostgres } from '../test/helper/postgres.ts'
import { simulate } from '../test/simulation/simulate.ts'

/**
 * `npm run simulate -- [rooms] [hours] [seed] [engine]`: the long form of test/simulation/days.test.ts, and
 * `npm run simulate -- crowd [steps] [seed] [engine]` that of test/simulation/crowd.test.ts. Exits 1 where anything went
 * wrong.
 */
const ROOMS_OF_A_CROWD = 4
// As many changes are asked for in an hour of a crowd, as it turns out.
const STEPS_IN_AN_HOUR = 230
const [first, second, third, fourth] = process.argv.slice(2)
const plot = first === 'crowd' ? 'crowd' : 'days'
const rooms = plot === 'crowd' ? ROOMS_OF_A_CROWD : Number(first ?? 300)
const hours = plot === 'crowd' ? Number(second ?? 10_000) / STEPS_IN_AN_HOUR : Number(second ?? 48)
const seed = Number(third ?? Math.floor(Math.random() * 2 ** 32))
const engine = fourth === 'postgres' ? 'postgres' : 'sqlite'
const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'curfew-simulation-'))
const postgres = engine === 'postgres' ? await startPostgres() : undefined
const databaseUrl = postgres ? (await createDatabase(postgres.url)).url : `file:${join(folder, 'curfew.db')}`
process.stdout.write(`${plot}: ${rooms} rooms, ${hours.toFixed(1)} hours, seed ${seed}, ${engine}\n`)
try {
  const { faults, ...figures } = await simulate({ plot, engine, databaseUrl, rooms, hours, seed })
  process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`)
  for (const fault of faults.slice(0, 10)) process.stdout.write(`\n${fault}\n`)
  process.stdout.write(`${faults.length} faults\n`)
  process.exitCode = faults.length === 0 ? 0 : 1
} finally {
  await postgres?.stop()
  rmSync(folder, { recursive: true, force: true })
}
