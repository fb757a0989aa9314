import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDatabase, startPostgres } from '../test/helper/postgres.ts'
import { KEYS } from '../test/helper/service.ts'
import { type Contender, carrying, inMemory } from './carrying.ts'

/** What one ending costs, against a service that keeps nothing: `node bench/hot-path.ts [OTHER/src/server.ts]`. */
const folder = mkdtempSync(join(tmpdir(), 'curfew-bench-'))
const postgres = await startPostgres({ durable: true })
const other = process.argv[2]

const base = (url: string) => ({
  PORT: '0',
  DIGITAL_SAMBA_TEAM_ID: 'team',
  DIGITAL_SAMBA_DEVELOPER_KEY: 'developer-key-000',
  API_KEYS: `booking:${KEYS.booking}`,
  DATABASE_URL: url,
  CALLS_PER_MINUTE: '100000',
  MAX_CONCURRENT_CALLS: '100',
})
const sqlite = async (name: string, server?: string): Promise<Contender> => ({
  name,
  env: base(`file:${join(folder, name.replaceAll(' ', '-'))}/curfew.db`),
  ...(server ? { server } : {}),
})
const onPostgres = async (name: string, server?: string): Promise<Contender> => ({
  name,
  env: base((await createDatabase(postgres.url)).url),
  ...(server ? { server } : {}),
})
const makers = [
  async () => inMemory({}),
  () => sqlite('SQLite'),
  ...(other ? [() => sqlite('SQLite before', other)] : []),
  () => onPostgres('PostgreSQL'),
  ...(other ? [() => onPostgres('PostgreSQL before', other)] : []),
]
for (const row of await carrying(makers)) process.stdout.write(`${row.slice(0, 2).join('  |  ')}\n`)
await postgres.stop()
rmSync(folder, { recursive: true, force: true })
process.exit(0)
