import type { Logger } from 'pino'
import { sleepUntil } from '../clock.ts'
import type { Ledger } from '../storage/ledger.ts'

const DAY_MS = 24 * 3_600_000
const EVERY_MS = 3_600_000
const BETWEEN_BATCHES_MS = 50

/** Once an hour, removes what finished more than `days` ago, a small batch at a time, until `signal` aborts. */
export async function prune(ledger: Ledger, days: number, log: Logger, signal: AbortSignal): Promise<void> {
  const { clock } = ledger
  while (!signal.aborted) {
    try {
      while (!signal.aborted && (await ledger.prune(clock.now() - days * DAY_MS)))
        await clock.sleep(BETWEEN_BATCHES_MS, signal)
    } catch (error) {
      if (!signal.aborted) log.error({ err: error }, 'pruning.trouble')
    }
    await sleepUntil(clock, clock.now() + EVERY_MS, signal)
  }
}
