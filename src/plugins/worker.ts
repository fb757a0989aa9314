import fp from 'fastify-plugin'
import type { Logger } from 'pino'
import { DigitalSamba } from '../digital-samba/client.ts'
import { SlidingBudget, WINDOW_MS } from '../worker/budget.ts'
import { CallGate } from '../worker/call-gate.ts'
import { Confirmer } from '../worker/confirmer.ts'
import { SharedListing } from '../worker/listing.ts'
import { prune } from '../worker/pruning.ts'
import { Worker } from '../worker/worker.ts'
import type { Config } from './config.ts'

declare module 'fastify' {
  interface FastifyInstance {
    gate: CallGate
    digitalSamba: DigitalSamba
  }
}

/** Starts the worker when the service is ready and lets it finish, before the ledger closes, when it stops. */
export default fp<{ config: Config }>(async function worker(app, { config }) {
  const { ledger } = app
  const log = app.log as Logger
  const freed = await ledger.clearClaims()
  if (freed > 0) log.info({ freed }, 'worker.took_over')
  const spent = await ledger.callsSince(ledger.clock.now() - WINDOW_MS)
  const budget = new SlidingBudget(ledger.clock, config.callsPerMinute, spent)
  const gate = new CallGate({ budget, ledger, log })
  await gate.load()
  const digitalSamba = new DigitalSamba({ ...config.digitalSamba, clock: ledger.clock })
  const { maxConcurrentCalls: maxConcurrent, retryForMs } = config
  const callTimeoutMs = config.digitalSamba.timeoutMs
  const listing = new SharedListing(ledger.clock)
  const worker = new Worker({
    ledger,
    digitalSamba,
    gate,
    listing,
    log,
    maxConcurrent,
    retryForMs,
    callTimeoutMs,
  })
  const confirmer = new Confirmer({ ledger, digitalSamba, gate, log })
  const stop = new AbortController()
  app.decorate('gate', gate)
  app.decorate('digitalSamba', digitalSamba)
  app.addHook('onReady', async () => {
    worker.start()
    confirmer.start()
    void prune(ledger, config.retentionDays, log, stop.signal)
  })
  // In preClose, so that attempts finish while the last requests are answered: both within the same grace.
  app.addHook('preClose', async () => {
    stop.abort()
    await Promise.all([confirmer.stop(), worker.stop(config.shutdownGraceMs)])
  })
  app.addHook('onClose', async () => digitalSamba.close())
})
