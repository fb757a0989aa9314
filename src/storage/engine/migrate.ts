import { Migrator } from 'kysely/migration'
import type { Db } from '../schema.ts'
import { migrations } from './migrations/index.ts'

/** Kysely's migrator takes an advisory lock on PostgreSQL; on SQLite the file's lock is already ours. */
export async function migrate(db: Db): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
  const { error } = await migrator.migrateToLatest()
  if (error) throw error
}
