import { chaos } from '../test/chaos/chaos.ts'
import { seeded } from '../test/helper/crash.ts'
import { startPostgres } from '../test/helper/postgres.ts'

/** `npm run chaos -- [seconds] [seeds] [first seed]`: the long form of test/chaos. Exits 1 on any fault. */
const seconds = Number(process.argv[2] ?? 40)
const seeds = Number(process.argv[3] ?? 1)
const first = Number(process.argv[4] ?? Math.floor(Math.random() * 2 ** 31))
const postgres = await startPostgres()
let faults = 0
for (let seed = first; seed < first + seeds; seed += 1) {
  const report = await chaos(postgres, seconds * 1000, seed, seeded(seed))
  process.stdout.write(`${JSON.stringify({ ...report, faults: report.faults.length })}\n`)
  for (const fault of report.faults.slice(0, 10)) process.stdout.write(`  ${fault}\n`)
  faults += report.faults.length
}
await postgres.stop()
process.exit(faults === 0 ? 0 : 1)
