import type { Test } from 'tap'
import { CallBudget } from '../../src/calls/budget.ts'
import { CallGate } from '../../src/calls/gate.ts'
import { permitCounts } from '../../src/calls/permits.ts'
import { DigitalSamba } from '../../src/digital-samba/client.ts'
import { createLogger } from '../../src/logger.ts'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import type { Ledger } from '../../src/storage/ledger.ts'
import { SharedListing } from '../../src/worker/listing.ts'
import { Worker } from '../../src/worker/worker.ts'
import { open } from './engines.ts'
import type { ManualClock } from './manual-clock.ts'

export interface Replica {
  ledger: Ledger
  /** Cuts it off from its database, for good. */
  cutOff(): Promise<void>
  /** the messages that it has logged */
  logged: string[]
}

const CALL_TIMEOUT_MS = 30_000
const LIMITS = { perMinute: 900, urgentPerMinute: 945 }

export { LEASE_MS } from '../../src/worker/leases.ts'

/**
 * The worker of one replica, its time told by `clock` alone: a whole service on PostgreSQL goes by PostgreSQL's clock,
 * which no test can move by minutes.
 */
export async function startReplica(
  t: Test,
  sandbox: Sandbox,
  databaseUrl: string,
  clock: ManualClock,
): Promise<Replica> {
  const { ledger, close } = await open(t, databaseUrl, clock)
  const logged: string[] = []
  const write = (line: string) => void logged.push(JSON.parse(line).msg)
  const log = createLogger({ level: 'trace', format: 'json' }, { write })
  const { teamId, developerKey } = sandbox.settings.credentials
  const credentials = { form: 'basic', teamId, developerKey } as const
  const digitalSamba = new DigitalSamba({ url: sandbox.url, credentials, clock, timeoutMs: CALL_TIMEOUT_MS })
  const gate = new CallGate({
    budget: new CallBudget(clock, LIMITS, await ledger.permits(permitCounts(LIMITS))),
    ledger,
    log,
  })
  const limits = { maxConcurrent: 10, retryForMs: 3_600_000 }
  const worker = new Worker({
    ledger,
    digitalSamba,
    gate,
    listing: new SharedListing(ledger.clock),
    log,
    ...limits,
  })
  worker.start()
  t.teardown(async () => {
    await worker.stop(0)
    digitalSamba.close()
  })
  return { ledger, cutOff: close, logged }
}
