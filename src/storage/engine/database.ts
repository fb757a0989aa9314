import type { DatabaseOptions, OpenDatabase } from './open-database.ts'
import { openSqlite } from './sqlite.ts'

/**
 * Opens and migrates. Rejects with DatabaseInUseError where another process has the SQLite file, and with the
 * driver's error where PostgreSQL cannot be reached.
 */
export async function openDatabase(options: DatabaseOptions): Promise<OpenDatabase> {
  if (options.url.startsWith('file:')) return openSqlite(options)
  // Only here: a service on SQLite need not carry the driver in memory.
  const { openPostgres } = await import('./postgres.ts')
  return openPostgres(options)
}
