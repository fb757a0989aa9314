import t from 'tap'
import { seeded } from '../helper/crash.ts'
import { freshUrl } from '../helper/engines.ts'
import { toldAfterKills } from './kills.ts'

// `npm run notifications -- kills` does it twenty times on each engine.
t.test('kill -9 under load: every transition is told, and nothing else', { timeout: 100_000 }, async (t) => {
  const seed = Number(process.env.CURFEW_SEED ?? Math.floor(Math.random() * 2 ** 32))
  t.comment(`seed ${seed}`)
  const report = await toldAfterKills(await freshUrl(t, seed % 2 ? 'sqlite' : 'postgres'), 2, seeded(seed))
  t.comment(JSON.stringify(report))
  t.match(report, { untold: 0, invented: 0, changed: 0, forged: 0 })
  t.ok(report.happened.ended && report.happened.failed && report.happened.cancelled, 'of all kinds')
})
