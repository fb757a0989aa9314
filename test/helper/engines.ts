import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Clock } from '../../src/clock.ts'
import { openDatabase } from '../../src/storage/engine/database.ts'
import type { OpenDatabase } from '../../src/storage/engine/open-database.ts'
import { Ledger } from '../../src/storage/ledger.ts'
import type { Engine } from '../../src/storage/schema.ts'
import { createDatabase, SERVER_VARIABLE, startPostgres } from './postgres.ts'

export const ENGINES: Engine[] = ['sqlite', 'postgres']

/** The URL of a fresh, empty database, which goes when the test ends. */
export async function freshUrl(t: Test, engine: Engine): Promise<string> {
  if (engine === 'sqlite') {
    const folder = mkdtempSync(join(tmpdir(), 'curfew-test-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    return `file:${join(folder, 'curfew.db')}`
  }
  const { url, drop } = await createDatabase(await serverUrl(t))
  t.teardown(drop)
  return url
}

// Somebody who runs one test file by itself gets a server of its own.
async function serverUrl(t: Test): Promise<string> {
  const shared = process.env[SERVER_VARIABLE]
  if (shared) return shared
  const server = await startPostgres()
  t.teardown(() => server.stop())
  return server.url
}

/** Opens a database that closes with the test. On PostgreSQL, too, time is what `clock` says. */
export async function open(t: Test, url: string, clock: Clock): Promise<OpenDatabase & { ledger: Ledger }> {
  const database = { ...(await openDatabase({ url, clock })), clock }
  let closed = false
  const close = async () => {
    if (!closed) await database.close()
    closed = true
  }
  // Before the database itself goes: tap runs what was registered last first.
  t.teardown(close)
  return { ...database, close, ledger: new Ledger(database) }
}

/** Runs the same test on every engine, each time on a fresh database. */
export function onEveryEngine(
  t: Test,
  name: string,
  run: (t: Test, url: string, engine: Engine) => Promise<unknown>,
): void {
  for (const engine of ENGINES)
    t.test(`${name} (${engine})`, async (t) => run(t, await freshUrl(t, engine), engine))
}
