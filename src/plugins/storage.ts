import fp from 'fastify-plugin'
import type { Clock } from '../clock.ts'
import { openDatabase } from '../storage/database.ts'
import { Ledger } from '../storage/ledger.ts'

declare module 'fastify' {
  interface FastifyInstance {
    ledger: Ledger
  }
}

export default fp<{ url: string; clock: Clock }>(async function storage(app, { url, clock }) {
  const onError = (error: Error) => app.log.error({ err: error }, 'storage.trouble')
  const database = await openDatabase({ url, clock, onError })
  app.decorate('ledger', new Ledger(database))
  app.addHook('onClose', () => database.close())
})
