import type { Test } from 'tap'
import { CallGate } from '../../src/calls/gate.ts'
import { DigitalSamba } from '../../src/digital-samba/client.ts'
import { createLogger } from '../../src/logger.ts'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import type { Ledger } from '../../src/storage/ledger.ts'
import { TimeLimitStore } from '../../src/storage/time-limits/time-limit-store.ts'
import { Sweeper } from '../../src/worker/sweeper.ts'
import { open } from '../helper/engines.ts'
import type { ManualClock } from '../helper/manual-clock.ts'
import { budgetInMemory } from '../helper/permits.ts'
import { SWEEP_MS } from './sweeping.ts'

/** The sweeper of one replica and nothing else, its time told by `clock` alone, also on PostgreSQL. */
export async function startSweeper(
  t: Test,
  sandbox: Sandbox,
  databaseUrl: string,
  clock: ManualClock,
): Promise<{ limits: TimeLimitStore; ledger: Ledger }> {
  const database = await open(t, databaseUrl, clock)
  const { ledger } = database
  const log = createLogger({ level: 'trace', format: 'json' }, { write: (l) => void console.error(l) })
  const { teamId, developerKey } = sandbox.settings.credentials
  const credentials = { form: 'basic', teamId, developerKey } as const
  const digitalSamba = new DigitalSamba({ url: sandbox.url, credentials, clock, timeoutMs: 5000 })
  const gate = new CallGate({
    budget: budgetInMemory(clock, { perMinute: 900, urgentPerMinute: 945 }),
    ledger,
    log,
  })
  const limits = new TimeLimitStore(ledger, database, undefined)
  const sweeper = new Sweeper({ limits, clock, digitalSamba, gate, log, everyMs: SWEEP_MS })
  sweeper.start()
  t.teardown(async () => {
    await sweeper.stop()
    digitalSamba.close()
  })
  return { limits, ledger }
}
