import type { Clock } from '../../clock.ts'
import type { Db, Engine } from '../schema.ts'
import type { Signals } from './signals.ts'

export interface OpenDatabase {
  engine: Engine
  /** for whatever is read for people */
  db: Db
  /** for what is written, one commit after the other, and one that is long beside it */
  writes: Db
  /** for what was carried out, which nobody waits for and which must not hold up what is stored */
  results: Db
  /** for the renewal of leases alone, which must not wait for anything else */
  leases: Db
  /** for telling callers, which must hold up nothing that ends a session */
  deliveries: Db
  /** The clock that everybody on this database agrees on. */
  clock: Clock
  /** how the processes on this database wake each other */
  signals: Signals
  /** Throws where what is written now would not be found again. */
  verify(): void
  /** Resolves when all that is committed is on the disk, for which so many wait; absent where a commit is. */
  sync?: (waiting: number) => Promise<void>
  /** The same within some ms, where nobody waits for it. */
  syncSoon?: () => void
  close(): Promise<void>
}

export interface DatabaseOptions {
  /** `file:PATH` or `postgres://…` */
  url: string
  clock: Clock
  /** Told of trouble on idle connections, which no query would otherwise report. */
  onError?: (error: Error) => void
  /** Told where a pooler between keeps processes from waking each other. */
  onDeaf?: () => void
}
