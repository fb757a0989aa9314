import fp from 'fastify-plugin'
import type { Logger } from 'pino'
import { SlidingBudget, WINDOW_MS } from '../calls/budget.ts'
import { CallGate } from '../calls/gate.ts'
import { LookUps } from '../calls/look-ups.ts'
import type { Config } from '../config/config.ts'
import { DigitalSamba, type OddSessions } from '../digital-samba/client.ts'
import { Confirmer } from '../worker/confirmer.ts'
import { SharedListing } from '../worker/listing.ts'
import { prune } from '../worker/pruning.ts'
import { Worker } from '../worker/worker.ts'

declare module 'fastify' {
  interface FastifyInstance {
    gate: CallGate
    digitalSamba: DigitalSamba
    lookUps: LookUps
  }
}

/** Starts the worker when the service is ready and lets it finish, before the ledger closes, when it stops. */
export default fp<{ config: Config }>(async function worker(app, { config }) {
  const { ledger } = app
  const log = app.log as Logger
  const freed = await ledger.clearClaims()
  if (freed > 0) log.info({ freed }, 'worker.took_over')
  const spent = await ledger.callsSince(ledger.clock.now() - WINDOW_MS)
  const { callsPerMinute: perMinute, urgentCallsPerMinute: urgentPerMinute } = config
  const budget = new SlidingBudget(ledger.clock, { perMinute, urgentPerMinute }, spent)
  const gate = new CallGate({ budget, ledger, log })
  await gate.load()
  const onOdd = reportOdd(log)
  const digitalSamba = new DigitalSamba({ ...config.digitalSamba, clock: ledger.clock, onOdd })
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
  const lookUps = new LookUps({ digitalSamba, gate, clock: ledger.clock })
  app.decorate('lookUps', lookUps)
  ledger.onFinished(({ target_kind, target_id }) =>
    lookUps.forget(target_kind === 'session' ? target_id : undefined),
  )
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

// As many as are remembered: a list that is odd in another way each time must not fill the log or the memory.
const MOST_ODD = 1000

/** Once for each session that a list tells in a way that cannot be used; every sweep would say it again. */
function reportOdd(log: Logger): (odd: OddSessions) => void {
  const told = new Set<string>()
  let count = 0
  return ({ operation, nameless, withoutStart }) => {
    count += nameless + withoutStart.length
    const names = nameless > 0 ? [NAMELESS, ...withoutStart] : withoutStart
    const isNew = names.some((name) => !told.has(name))
    if (!isNew || told.size >= MOST_ODD) return
    for (const name of names) told.add(name)
    log.warn({ operation, nameless, withoutStart, count }, 'calls.odd_sessions')
  }
}

const NAMELESS = ''
