import { spawn } from 'node:child_process'
import { SERVER_VARIABLE, startPostgres } from './helper/postgres.ts'

/** The test run: one real PostgreSQL for all test files, then tap with the arguments given. */
const postgres = await startPostgres()
const tap = spawn('tap', process.argv.slice(2), {
  stdio: 'inherit',
  env: { ...process.env, [SERVER_VARIABLE]: postgres.url },
})
const code = await new Promise<number>((resolve) => tap.once('exit', (status) => resolve(status ?? 1)))
await postgres.stop()
process.exit(code)
