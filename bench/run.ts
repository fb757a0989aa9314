import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSandbox } from '../src/sandbox/sandbox.ts'
import { createDatabase, startPostgres } from '../test/helper/postgres.ts'
import { environment } from '../test/helper/service.ts'
import { acceptance } from './acceptance.ts'
import { carrying, contenders } from './carrying.ts'
import { footprint } from './footprint.ts'
import { intake } from './intake.ts'
import { limits } from './limits.ts'
import type { Row } from './measure.ts'
import { acceptToCall, lateness, recovery } from './timeliness.ts'

/** Everything that is measured, on real processes, sockets and databases. About ten minutes. */
const folder = mkdtempSync(join(tmpdir(), 'curfew-bench-'))
const sandbox = await startSandbox({ callsPerMinute: 1e9 })
const postgres = await startPostgres({ durable: true })
const rows: Row[] = []
let files = 0

const fresh = async (engine: string): Promise<Record<string, string>> => {
  files += 1
  const url =
    engine === 'sqlite' ? `file:${join(folder, `${files}.db`)}` : (await createDatabase(postgres.url)).url
  return environment(sandbox, url, { CALLS_PER_MINUTE: '100000' })
}
const note = (...more: Row[]) => {
  for (const row of more) process.stdout.write(`${row.join('  |  ')}\n`)
  rows.push(...more)
}

note(...(await footprint(await fresh('sqlite'))))
note(...(await carrying(contenders(folder, postgres.url))))
for (const engine of ['sqlite', 'postgres']) {
  note(await lateness(await fresh(engine), sandbox, engine))
  note(await acceptToCall(await fresh(engine), sandbox, engine))
  note(await recovery(await fresh(engine), sandbox, engine))
  note(...(await acceptance(await fresh(engine), engine)))
  note(...(await intake(await fresh(engine), engine)))
  note(...(await limits(await fresh(engine), sandbox, engine)))
}

await sandbox.close()
await postgres.stop()
rmSync(folder, { recursive: true, force: true })
const results = new URL('./results/', import.meta.url)
mkdirSync(results, { recursive: true })
const table = [
  `Node ${process.version}, ${cpus().length} cores, ${new Date().toISOString()}`,
  '',
  '| what | measured | bar |',
  '|---|---|---|',
]
for (const row of rows) table.push(`| ${row.join(' | ')} |`)
writeFileSync(new URL('latest.md', results), `${table.join('\n')}\n`)
process.exit(0)
