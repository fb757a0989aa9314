import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether what is given now could be stored. Says what it last found out for up to a second. */
    canStore: () => Promise<boolean>
  }
}

const FRESH_FOR_MS = 1000

/** Only a write shows a full disk; and since anybody may ask, one write a second answers everybody. */
export default fp(async function readiness(app) {
  const { ledger } = app
  let latest: { at: number; answer: Promise<boolean> } | undefined
  app.decorate('canStore', () => {
    const now = ledger.clock.now()
    if (!latest || Math.abs(now - latest.at) >= FRESH_FOR_MS) latest = { at: now, answer: canStore() }
    return latest.answer
  })

  async function canStore(): Promise<boolean> {
    try {
      await ledger.probe()
      return true
    } catch (error) {
      app.log.error({ err: error }, 'storage.cannot_store')
      return false
    }
  }
})
