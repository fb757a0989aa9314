import fp from 'fastify-plugin'
import type { Logger } from 'pino'
import { CallBudget } from '../calls/budget.ts'
import { CallGate } from '../calls/gate.ts'
import { LookUps } from '../calls/look-ups.ts'
import { permitCounts } from '../calls/permits.ts'
import type { Config } from '../config/config.ts'
import { DigitalSamba, type OddSessions } from '../digital-samba/client.ts'
import { Confirmer } from '../worker/confirmer.ts'
import { SharedListing } from '../worker/listing.ts'
import { Pruner } from '../worker/pruner.ts'
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
  const { callsPerMinute: perMinute, urgentCallsPerMinute: urgentPerMinute } = config
  const limits = { perMinute, urgentPerMinute }
  const onTrouble = (error: unknown) => log.error({ err: error }, 'budget.trouble')
  const permits = await ledger.permits(permitCounts(limits))
  const budget = new CallBudget(ledger.clock, limits, permits, onTrouble)
  const gate = new CallGate({ budget, ledger, log, onCall: (call) => app.notices.called(call) })
  await gate.load()
  const onOdd = reportOdd(log)
  const digitalSamba = new DigitalSamba({ ...config.digitalSamba, clock: ledger.clock, onOdd })
  const { maxConcurrentCalls: maxConcurrent, retryForMs } = config
  const listing = new SharedListing(ledger.clock)
  const worker = new Worker({
    ledger,
    digitalSamba,
    gate,
    listing,
    log,
    maxConcurrent,
    retryForMs,
    onFirstCall: (latenessMs) => app.notices.firstCalled(latenessMs),
  })
  const confirmer = new Confirmer({ ledger, digitalSamba, gate, log })
  const pruner = new Pruner({ ledger, days: config.retentionDays, log })
  app.decorate('gate', gate)
  app.decorate('digitalSamba', digitalSamba)
  const lookUps = new LookUps({ digitalSamba, gate, clock: ledger.clock })
  app.decorate('lookUps', lookUps)
  ledger.news.onFinished(({ target_kind, target_id }) =>
    lookUps.forget(target_kind === 'session' ? target_id : undefined),
  )
  app.addHook('onReady', async () => {
    worker.start()
    confirmer.start()
    pruner.start()
  })
  // In preClose, so that attempts finish while the last requests are answered: both within the same grace.
  app.addHook('preClose', async () => {
    gate.brake.stop()
    await Promise.all([pruner.stop(), confirmer.stop(), worker.stop(config.shutdownGraceMs)])
    await budget.close().catch(onTrouble)
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
