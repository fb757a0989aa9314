import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { SERVER_VARIABLE, startPostgres } from './helper/postgres.ts'

/** The test run: one real PostgreSQL for all test files, then tap with the arguments given. */
// A fresh install of tap has the plugins that it ships with; those of .taprc are there once it has built itself.
const built = spawnSync('tap', ['build'], { encoding: 'utf8' })
if (built.status !== 0) throw new Error(`tap build: ${built.stderr}`)
const postgres = await startPostgres().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
})
const args = process.argv.slice(2)
// Every test file, and every process that one starts, would compile the same modules again. What is counted line by line
// must not come from there.
const cache = fileURLToPath(new URL('../node_modules/.cache/curfew-tests', import.meta.url))
const compiled = args.includes('--disable-coverage') ? { NODE_COMPILE_CACHE: cache } : {}
const tap = spawn('tap', args, {
  stdio: 'inherit',
  env: { ...process.env, ...compiled, [SERVER_VARIABLE]: postgres.url },
})
const code = await new Promise<number>((resolve) => tap.once('exit', (status) => resolve(status ?? 1)))
await postgres.stop()
process.exit(code)
