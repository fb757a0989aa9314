import fp from 'fastify-plugin'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { TimeLimitStore } from '../storage/time-limits/time-limit-store.ts'
import { DEFAULT } from '../time-limits/rules.ts'
import { SharedListing } from '../worker/listing.ts'
import { Sweeper } from '../worker/sweeper.ts'
import { Warner } from '../worker/warner.ts'

declare module 'fastify' {
  interface FastifyInstance {
    limits: TimeLimitStore
    sweeper: Sweeper
  }
}

// Whose endings those of the default are; operators may move them.
const OWNER = 'curfew'

/** Time limits: the sweep that notices sessions, and the warnings before their ends. */
export default fp<{ config: Config }>(async function limits(app, { config }) {
  const { ledger, gate, digitalSamba } = app
  const log = app.log as Logger
  const maxMinutes = config.defaultLimitMinutes
  const byDefault =
    maxMinutes === undefined
      ? undefined
      : { room: DEFAULT, requestedBy: OWNER, maxMinutes, warnMinutes: config.warnMinutes }
  const limits = new TimeLimitStore(ledger, app.database, byDefault)
  app.decorate('limits', limits)
  const parts = { limits, digitalSamba, gate, log }
  const sweeper = new Sweeper({ ...parts, clock: ledger.clock, everyMs: config.sweepIntervalMs })
  app.decorate('sweeper', sweeper)
  // A listing of its own: an end that shared one would wait with it, at its rank and until its end.
  const listing = new SharedListing(ledger.clock)
  const warner = new Warner({ ...parts, ledger, listing, text: config.warningText })
  app.notices.onSessionStarted((started) => sweeper.observeStarted(started))
  app.addHook('onReady', async () => {
    await limits.bringUpToDate()
    sweeper.start()
    warner.start()
  })
  app.addHook('preClose', async () => {
    await Promise.all([sweeper.stop(), warner.stop()])
  })
})
