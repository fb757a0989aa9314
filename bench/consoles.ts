import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../src/clock.ts'
import { startSandbox } from '../src/sandbox/sandbox.ts'
import { openDatabase } from '../src/storage/engine/database.ts'
import { enter, openPage, startBrowser } from '../test/helper/browser.ts'
import { fill } from '../test/helper/fill.ts'
import { environment, KEYS } from '../test/helper/service.ts'
import { percentile } from './measure.ts'
import { startMeasured } from './process.ts'
import { latenessOf500, warmUp } from './timeliness.ts'

/**
 * `npm run consoles -- [finished] [pending]`: how long each view of the console takes on a large ledger (SQLite), and how late
 * endings are with no console open and with ten.
 */
const finished = Number(process.argv[2] ?? 1_000_000)
const pending = Number(process.argv[3] ?? 100_000)
const folder = mkdtempSync(join(tmpdir(), 'curfew-consoles-'))
const url = `file:${join(folder, 'curfew.db')}`
const { db, engine, close } = await openDatabase({ url, clock: systemClock })
await fill(db, engine, { finished, pending, holds: 100 }, systemClock.now())
await close()
const teardowns: Array<() => unknown> = []
const sandbox = await startSandbox({ callsPerMinute: 1e9 })
const env = environment(sandbox, url, { CALLS_PER_MINUTE: '100000', RETENTION_DAYS: '365' })
const curfew = await startMeasured(env)
await warmUp(curfew, sandbox)
const say = (line: string) => void process.stdout.write(`${line}\n`)
const lateness = async (how: string) => {
  const late = await latenessOf500(curfew, sandbox, 'sqlite')
  say(`late ${how}: p50 ${percentile(late, 0.5)}, p99 ${percentile(late, 0.99)} ms`)
}
await lateness('with no console open')
const browser = await startBrowser({ teardown: (done: () => unknown) => void teardowns.push(done) } as never)
const { page } = await openPage(browser)
await enter(page, curfew.url, KEYS.ops)
const { id } = (await (
  await fetch(`${curfew.url}/v1/endings?limit=1&state=ended`, {
    headers: { authorization: `Bearer ${KEYS.ops}` },
  })
)
  .json()
  .then((list) => (list as { data: Array<{ id: string }> }).data[0])) as { id: string }
const VIEWS = [
  'now',
  'ledger',
  'ledger?state=pending&sort=dueAt',
  'ledger?reason=nothing',
  `ending/${id}`,
  'sessions',
  'rules',
  'notifications',
  'lateness',
]
for (const view of VIEWS) {
  const took: number[] = []
  for (let i = 0; i < 5; i += 1) {
    await page.goto(`${curfew.url}/console#/${view}`)
    const began = performance.now()
    await page.reload()
    await page.locator('main details.curl').first().waitFor()
    await page.locator('main .loading').first().waitFor({ state: 'detached' })
    took.push(performance.now() - began)
  }
  say(
    `${view}: ${Math.round(percentile(took, 0.5))} ms from the page's reload to all that it shows (median of 5)`,
  )
}
// What ten consoles ask is asked without their browser, which needs more of two cores than all else together.
await browser.close()
const MINUTE_MS = 60_000
const iso = (at: number) => new Date(Math.floor(at / MINUTE_MS) * MINUTE_MS).toISOString()
const now = Date.now()
const ASKED: Array<[path: string, everyMs: number]> = [
  [`/v1/endings?state=pending&sort=dueAt&dueBefore=${iso(now + 60 * MINUTE_MS)}&limit=200`, 10_000],
  [`/v1/statistics?step=minute&from=${iso(now - 60 * MINUTE_MS)}`, 10_000],
  ['/v1/sessions?live=true', 10_000],
  ['/v1/endings?limit=50', 3000],
  ['/v1/endings?limit=50&state=pending&sort=dueAt', 3000],
  ['/v1/endings?limit=50&reason=nothing', 3000],
  [`/v1/endings/${id}`, 2000],
  ['/v1/time-limits?limit=200', 5000],
  ['/v1/holds?limit=200', 5000],
  ['/v1/notifications?limit=50&state=failed', 5000],
  [`/v1/statistics?step=minute&from=${iso(now - 1440 * MINUTE_MS)}`, 30_000],
  ...Array.from({ length: 10 }, (): [string, number] => ['/status', 2000]),
]
const get = async (path: string) => {
  const began = performance.now()
  const answer = await fetch(`${curfew.url}${path}`, { headers: { authorization: `Bearer ${KEYS.ops}` } })
  await answer.text()
  return performance.now() - began
}
for (const [path] of ASKED.slice(0, 12)) {
  const took: number[] = []
  for (let i = 0; i < 7; i += 1) took.push(await get(path))
  say(`GET ${path.slice(0, 60)}: ${percentile(took, 0.5).toFixed(1)} ms`)
}
const timers = ASKED.map(([path, everyMs]) => setInterval(() => void get(path), everyMs))
await lateness('while ten consoles ask what they ask')
for (const timer of timers) clearInterval(timer)
for (const done of teardowns.reverse()) await done()
await curfew.end('SIGTERM')
await sandbox.close()
rmSync(folder, { recursive: true, force: true })
