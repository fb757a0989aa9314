import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDatabase, startPostgres } from '../test/helper/postgres.ts'
import { simulate } from '../test/simulation/simulate.ts'

/**
 * `npm run simulate -- [rooms] [hours] [seed] [engine]`: the long form of test/simulation/days.test.ts. Exits 1 where
 * anything went wrong.
 */
const rooms = Number(process.argv[2] ?? 300)
const hours = Number(process.argv[3] ?? 48)
const seed = Number(process.argv[4] ?? Math.floor(Math.random() * 2 ** 32))
const engine = process.argv[5] === 'postgres' ? 'postgres' : 'sqlite'
const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'curfew-simulation-'))
const postgres = engine === 'postgres' ? await startPostgres() : undefined
const databaseUrl = postgres ? (await createDatabase(postgres.url)).url : `file:${join(folder, 'curfew.db')}`
process.stdout.write(`${rooms} rooms, ${hours} hours, seed ${seed}, ${engine}\n`)
try {
  const { faults, ...figures } = await simulate({ engine, databaseUrl, rooms, hours, seed })
  process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`)
  for (const fault of faults.slice(0, 10)) process.stdout.write(`\n${fault}\n`)
  process.stdout.write(`${faults.length} faults\n`)
  process.exitCode = faults.length === 0 ? 0 : 1
} finally {
  await postgres?.stop()
  rmSync(folder, { recursive: true, force: true })
}
