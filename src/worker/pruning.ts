import type { Logger } from 'pino'
import { sleepUntil } from '../clock.ts'
import type { Ledger } from '../storage/ledger.ts'

const DAY_MS = 24 * 3_600_000
const EVERY_MS = 3_600_000
// As long as several batches take: the busier the ledger, the longer; and no chore is in a hurry.
const REST = 4
const LEAST_REST_MS = 10
const MOST_REST_MS = 1000

const restAfter = (tookMs: number) => Math.min(Math.max(tookMs * REST, LEAST_REST_MS), MOST_REST_MS)

/** Once an hour, removes what finished more than `days` ago, a small batch at a time, until `signal` aborts. */
export async function prune(ledger: Ledger, days: number, log: Logger, signal: AbortSignal): Promise<void> {
  const { clock } = ledger
  while (!signal.aborted) {
    try {
      const before = clock.now() - days * DAY_MS
      for (let isMore = true; isMore && !signal.aborted; )
        isMore = await ledger.prune(before, (tookMs) => clock.sleep(restAfter(tookMs), signal))
    } catch (error) {
      if (!signal.aborted) log.error({ err: error }, 'pruning.trouble')
    }
    await sleepUntil(clock, clock.now() + EVERY_MS, signal)
  }
}
