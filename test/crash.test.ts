import { join } from 'node:path'
import t from 'tap'
import { crash, seeded } from './helper/crash.ts'

t.test(
  'kill -9 under load: nothing accepted is lost, nothing else is ended',
  { timeout: 60_000 },
  async (t) => {
    const seed = Number(process.env.CURFEW_SEED ?? Math.floor(Math.random() * 2 ** 32))
    t.comment(`seed ${seed}`)
    const report = await crash(join(t.testdir(), 'curfew.db'), 4, seeded(seed))
    t.comment(JSON.stringify(report))
    t.ok(report.accepted > 50, 'there was load')
    t.match(report, { lost: 0, notAskedFor: 0, damaged: 0 })
  },
)
