import fp from 'fastify-plugin'
import type { Clock } from '../clock.ts'
import { type OpenDatabase, openDatabase } from '../storage/engine/database.ts'
import { Ledger } from '../storage/ledger.ts'

declare module 'fastify' {
  interface FastifyInstance {
    ledger: Ledger
    database: OpenDatabase
  }
}

export default fp<{ url: string; clock: Clock; warnMinutes: number[] }>(async function storage(
  app,
  { url, clock, warnMinutes },
) {
  const onError = (error: Error) => app.log.error({ err: error }, 'storage.trouble')
  const database = await openDatabase({ url, clock, onError })
  app.decorate('ledger', new Ledger(database, { warnMinutes }))
  app.decorate('database', database)
  app.addHook('onClose', () => database.close())
})
