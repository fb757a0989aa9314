import { t } from 'tap'
import { warmUp } from '../src/warm-up.ts'
import { dumpOf } from './helper/dump.ts'
import { onEveryEngine, open } from './helper/engines.ts'
import { ManualClock } from './helper/manual-clock.ts'

onEveryEngine(t, 'warming up stores nothing', async (t, url) => {
  const database = await open(t, url, new ManualClock())
  const before = await dumpOf(url)
  const warnings: unknown[] = []
  await warmUp(database, { warn: (...line: unknown[]) => void warnings.push(line) })
  t.same(await dumpOf(url), before)
  t.same(warnings, [], 'all of it was done')
})

onEveryEngine(
  t,
  'where that cannot be done, the service starts all the same, and says so',
  async (t, url) => {
    const database = await open(t, url, new ManualClock())
    await database.close()
    const warnings: unknown[][] = []
    await warmUp(database, { warn: (...line: unknown[]) => void warnings.push(line) })
    t.match(warnings, [[{ err: Error }, 'service.not_warm']])
  },
)
