import type { Db, EndingRow, Trx } from '../schema.ts'
import { PENDING } from './conditions.ts'

export function findEnding(db: Db | Trx, id: string): Promise<EndingRow | undefined> {
  return db.selectFrom('endings').selectAll().where('id', '=', id.toLowerCase()).executeTakeFirst()
}

export function finishedAmong(db: Db, ids: string[]): Promise<EndingRow[]> {
  return db.selectFrom('endings').selectAll().where('id', 'in', ids).where('state', '!=', PENDING).execute()
}
