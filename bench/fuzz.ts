import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fuzz } from '../test/fuzz/fuzz.ts'
import { createDatabase, startPostgres } from '../test/helper/postgres.ts'

/** `npm run fuzz -- [mutations] [seed] [engine]`: the long form of test/fuzz/fuzz.test.ts. Exits 1 on any fault. */
const mutations = Number(process.argv[2] ?? 5000)
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 32))
const engine = process.argv[4] === 'postgres' ? 'postgres' : 'sqlite'
const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'curfew-fuzz-'))
const postgres = engine === 'postgres' ? await startPostgres() : undefined
const databaseUrl = postgres ? (await createDatabase(postgres.url)).url : `file:${join(folder, 'curfew.db')}`
process.stdout.write(`${mutations} answers changed, seed ${seed}, ${engine}\n`)
try {
  const { faults, ...figures } = await fuzz({ databaseUrl, mutations, seed })
  process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`)
  for (const fault of faults.slice(0, 10)) process.stdout.write(`\n${fault}\n`)
  process.stdout.write(`${faults.length} faults\n`)
  process.exitCode = faults.length === 0 ? 0 : 1
} finally {
  await postgres?.stop()
  rmSync(folder, { recursive: true, force: true })
}
