import type { Clock } from '../../clock.ts'
import type { Signals } from '../engine/signals.ts'
import type { News } from './news.ts'

// What finishes within a moment is told together. A notification of PostgreSQL's holds 8000 bytes.
const GATHER_MS = 20
const MOST_AT_ONCE = 150

/** Tells other processes which endings are over, for as long as somebody waits there for any. */
export function tellOfFinished(news: News, signals: Signals, clock: Clock): void {
  let awaitedUntil = Number.NEGATIVE_INFINITY
  let ids: string[] = []
  const flush = async () => {
    await clock.sleep(GATHER_MS)
    const all = ids
    ids = []
    for (let from = 0; from < all.length; from += MOST_AT_ONCE)
      signals.send({ is: 'finished', ids: all.slice(from, from + MOST_AT_ONCE) })
  }
  signals.onSignal((signal) => {
    if (signal.is === 'waiting') awaitedUntil = Math.max(awaitedUntil, signal.until)
  })
  news.onFinished(({ id }) => {
    if (clock.now() > awaitedUntil) return
    ids.push(id)
    if (ids.length === 1) void flush()
  })
}
