import { Kysely, SqliteDialect } from 'kysely'
import type { Tables } from '../schema.ts'
import { migrate } from './migrate.ts'
import { lockFile, NodeSqlite } from './node-sqlite.ts'
import type { DatabaseOptions, OpenDatabase } from './open-database.ts'
import { NOBODY } from './signals.ts'

export async function openSqlite({ url, clock }: DatabaseOptions): Promise<OpenDatabase> {
  const file = url.slice('file:'.length)
  const lock = lockFile(file)
  try {
    const database = new NodeSqlite(file)
    const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database }) })
    await migrate(db).catch(async (error) => {
      await db.destroy()
      throw error
    })
    const log = database.logSync()
    const close = async () => {
      await db.destroy()
      await log.close()
      lock.release()
    }
    return {
      engine: 'sqlite',
      db,
      writes: db,
      results: db,
      leases: db,
      deliveries: db,
      signals: NOBODY,
      clock,
      verify: () => database.verifyInPlace(),
      sync: (waiting) => log.sync(waiting),
      syncSoon: () => log.soon(),
      close,
    }
  } catch (error) {
    lock.release()
    throw error
  }
}
