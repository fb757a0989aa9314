import t from 'tap'
import type { EndingRow } from '../../src/storage/schema.ts'
import { backoff } from '../../src/worker/backoff.ts'
import { transitionFor } from '../../src/worker/transition.ts'

t.test('1, 2, 5, 10, 20, 30, 60 seconds, then every 60, give or take a fifth', async (t) => {
  const middle = [1, 2, 3, 4, 5, 6, 7, 8, 500].map((failures) => backoff(failures, 0.5) / 1000)
  t.same(middle, [1, 2, 5, 10, 20, 30, 60, 60, 60])
  t.equal(backoff(1, 0), 800)
  t.equal(backoff(7, 0.999_999_999), 72_000)
})

t.test('what a failure makes of an ending', async (t) => {
  const at = { now: 100_000, retryForMs: 60_000, random: 0.5 }
  const row = { due_at: 0, attempt: 0, retry_base: 0, retry_since: null } as unknown as EndingRow
  const again = (retryAfterMs?: number) => ({ kind: 'retry', why: 'answered 500', retryAfterMs }) as const
  t.same(
    transitionFor(row, again(), at),
    { to: 'pending', nextAttemptAt: 101_000, retrySince: 100_000, error: 'answered 500' },
    'RETRY_FOR begins with the first judged result, however late that is',
  )
  t.match(transitionFor(row, again(30_000), at), { nextAttemptAt: 130_000 }, 'a longer retry-after wins')
  t.match(transitionFor(row, again(10), at), { nextAttemptAt: 101_000 }, 'a shorter one does not')
  const day = { ...at, retryForMs: 1e9 }
  t.match(transitionFor(row, again(86_400_000), day), { nextAttemptAt: 700_000 }, 'nor one of a day')
  const tried = { ...row, attempt: 5, retry_since: 41_000 } as EndingRow
  t.match(
    transitionFor(tried, again(), at),
    { to: 'failed', failure: 'gave_up' },
    '41 + 60 is before 100 + 30',
  )
  t.match(transitionFor({ ...tried, retry_since: 70_000 } as EndingRow, again(), at), {
    nextAttemptAt: 130_000,
  })
  const retried = { ...tried, retry_base: 5, retry_since: null } as EndingRow
  t.match(transitionFor(retried, again(), at), { nextAttemptAt: 101_000 }, "an operator's retry starts anew")
})
