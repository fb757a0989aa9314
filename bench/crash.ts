import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crash, seeded } from '../test/helper/crash.ts'

/** `npm run crash -- [kills] [seed]`: the long form of test/crash.test.ts. Exits 1 where anything was lost. */
const kills = Number(process.argv[2] ?? 50)
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 32))
const folder = mkdtempSync(join(tmpdir(), 'curfew-crash-'))
process.stdout.write(`${kills} kills, seed ${seed}\n`)
const report = await crash(join(folder, 'curfew.db'), kills, seeded(seed))
rmSync(folder, { recursive: true, force: true })
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
process.exit(report.lost + report.notAskedFor + report.damaged === 0 ? 0 : 1)
