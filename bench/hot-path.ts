import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../test/helper/postgres.ts'
import { carrying, contenders } from './carrying.ts'

/**
 * What one ending costs, alone of all that `npm run bench` measures: `node bench/hot-path.ts [OTHER/src/server.ts]`, where
 * OTHER is a checkout of another version that takes its turns in the same run.
 */
const folder = mkdtempSync(join(tmpdir(), 'curfew-bench-'))
const postgres = await startPostgres({ durable: true })
for (const row of await carrying(contenders(folder, postgres.url, process.argv[2])))
  process.stdout.write(`${row.join('  |  ')}\n`)
await postgres.stop()
rmSync(folder, { recursive: true, force: true })
process.exit(0)
