import fp from 'fastify-plugin'
import { troubleOf } from '../storage/engine/trouble.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Why what is given now could not be stored; undefined where it could. What was found out counts for a second. */
    cannotStore: () => Promise<string | undefined>
  }
}

const FRESH_FOR_MS = 1000

/** Only a write shows a full disk; and since anybody may ask, one write a second answers everybody. */
export default fp(async function readiness(app) {
  const { ledger } = app
  let latest: { at: number; answer: Promise<string | undefined> } | undefined
  app.decorate('cannotStore', () => {
    const now = ledger.clock.now()
    if (!latest || Math.abs(now - latest.at) >= FRESH_FOR_MS) latest = { at: now, answer: probe() }
    return latest.answer
  })

  async function probe(): Promise<string | undefined> {
    try {
      await ledger.probe()
      return undefined
    } catch (error) {
      app.log.error({ err: error }, 'storage.cannot_store')
      return troubleOf(error)
    }
  }
})
