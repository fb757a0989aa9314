import fp from 'fastify-plugin'
import { StorageError } from '../storage/engine/errors.ts'
import { troubleOf } from '../storage/engine/trouble.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Why what is given now could not be stored; undefined where it could. What was found out counts for a while. */
    cannotStore: () => Promise<string | undefined>
    /** From now on nobody new is to be sent here, though it goes on answering whoever comes. */
    drain: () => void
    isDraining: () => boolean
  }
}

// Bad news is shorter: whoever is sent elsewhere comes back as soon as it is over.
const FRESH_FOR_MS = { good: 1000, bad: 100 }

/** Only a write shows a full disk; and since anybody may ask, one write a second answers everybody. */
export default fp(async function readiness(app) {
  const { ledger } = app
  let latest: { at: number; freshForMs: number; answer: Promise<string | undefined> } | undefined
  app.decorate('cannotStore', () => {
    const now = ledger.clock.now()
    if (latest && Math.abs(now - latest.at) < latest.freshForMs) return latest.answer
    const asked = { at: now, freshForMs: FRESH_FOR_MS.good, answer: probe() }
    void asked.answer.then((trouble) => {
      if (trouble !== undefined) asked.freshForMs = FRESH_FOR_MS.bad
    })
    latest = asked
    return asked.answer
  })
  // Somebody has found out otherwise.
  app.addHook('onError', async (_, __, error) => {
    if (latest && (error as Error) instanceof StorageError) latest.freshForMs = FRESH_FOR_MS.bad
  })

  let isDraining = false
  app.decorate('drain', () => {
    isDraining = true
  })
  app.decorate('isDraining', () => isDraining)
  // Whoever keeps a connection is told to open the next one elsewhere.
  app.addHook('onSend', async (_, reply) => {
    if (isDraining) reply.header('connection', 'close')
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
