import t from 'tap'
import { ManualClock } from '../helper/manual-clock.ts'
import { onEveryEngine, open } from '../helper/engines.ts'
onEveryEngine(t, 'opens', async (t, url) => {
  const { ledger } = await open(t, url, new ManualClock())
  const a = await ledger.put({ target: { session: 'EDB7A1CB-0627-44ed-9ae4-62a344d6e8a9' }, dueAt: 5, reason: 'x', requestedBy: 'b', key: 'k', subject: null, urgent: false, metadata: {} })
  t.match(a, { ending: { state: 'pending' } })
  t.match(await ledger.claim(3, 1000), [{ claim: 1 }])
  t.match(await ledger.backlog(), { pending: 1, overdue: 1 })
})
