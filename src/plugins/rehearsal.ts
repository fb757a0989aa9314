import fp from 'fastify-plugin'
import type { Config } from '../config/config.ts'
import { Ledger } from '../storage/ledger.ts'
import type { EndingRow } from '../storage/schema.ts'
import type { TimeLimitStore } from '../storage/time-limits/time-limit-store.ts'
import { type Foreseen, Foresight } from '../worker/foresight.ts'

/** What stands in for the real things where a request is only to be tried out. */
interface Rehearsal {
  ledger: Ledger
  limits: TimeLimitStore
  /** Which sessions these endings would end now. */
  foresee(endings: EndingRow[]): Promise<Foreseen>
}

declare module 'fastify' {
  interface FastifyInstance {
    rehearsal: Rehearsal
  }
}

/** Requests with ?dryRun=true: the same ledger, in which nothing stays. */
export default fp<{ config: Config }>(async function rehearsal(app, { config }) {
  const ledger = new Ledger(app.database, { warnMinutes: config.warnMinutes, isRehearsal: true })
  const foresight = new Foresight({ digitalSamba: app.digitalSamba, gate: app.gate, clock: ledger.clock })
  app.decorate('rehearsal', {
    ledger,
    limits: app.limits.on(ledger),
    foresee: (endings) => foresight.of(endings),
  })
})
