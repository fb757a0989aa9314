import { readFileSync } from 'node:fs'
import type { Page } from 'playwright-core'
import t from 'tap'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { enter, openPage, skip, startBrowser } from '../helper/browser.ts'
import { startReceiver, tells } from '../helper/receiver.ts'
import { KEYS, startService, until } from '../helper/service.ts'

const AXE = readFileSync(new URL('axe.min.js', import.meta.resolve('axe-core')), 'utf8')
const EVIL = `"><img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`
// All four take two minutes; the two that have least in common are tried with every run.
const LOOKS = [
  { width: 1440, dark: false },
  { width: 360, dark: true },
  ...(process.env.ALL_LOOKS
    ? [
        { width: 1440, dark: true },
        { width: 360, dark: false },
      ]
    : []),
]
const OVER_THE_EDGE = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'
const VIEWS = ['now', 'ledger', 'sessions', 'rules', 'notifications', 'lateness']

interface Violation {
  id: string
  impact: string
  nodes: Array<{ html: string; failureSummary: string }>
}

/** What axe finds serious or critical in the page as it is. */
async function serious(page: Page): Promise<string[]> {
  // By the debugger's way, which the page's policy leaves alone.
  await page.evaluate(AXE)
  const { violations } = (await page.evaluate('axe.run()')) as { violations: Violation[] }
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`)
}

t.test(
  'light and dark, wide and narrow: nothing serious, and markup is text',
  { skip, timeout: 110_000 },
  async (t) => {
    const booking = await startReceiver(t)
    booking.answer = (_, response) => void response.writeHead(410).end(EVIL)
    const { app, sandbox, request } = await startService(t, {
      env: { ...tells({ booking }), DEFAULT_TIME_LIMIT: '2h' },
    })
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    const room = sandbox.createRoom({ friendlyUrl: 'r'.repeat(64), externalId: 'e'.repeat(200) }).id
    const session = sandbox.startSession({ room }).id
    const body = {
      target: { roomExternalId: `${EVIL}${'x'.repeat(200 - EVIL.length)}` },
      dueAt: new Date(Date.now() + 1_800_000).toISOString(),
      key: `${EVIL}${'k'.repeat(200 - EVIL.length)}`,
      reason: 'r'.repeat(64),
      metadata: { evil: EVIL, long: 'm'.repeat(3000) },
    }
    for (let i = 0; i < 200; i += 1)
      await request('POST', '/v1/endings', { body: { ...body, key: `${i}${body.key}`.slice(0, 200) } })
    const { id } = (await request('POST', '/v1/endings', { body })).json()
    await request('POST', `/v1/endings/${id}/cancel`, { as: 'ops' })
    await request('PUT', '/v1/time-limits/board-room', { body: { maxMinutes: 50 } })
    await request('POST', '/v1/rooms/closed-room/end', {
      body: { holdUntil: new Date(Date.now() + 3_600_000).toISOString() },
    })
    await request('POST', '/v1/pause', { as: 'ops', body: { reason: EVIL, caller: 'billing' } })
    await until(async () => (await request('GET', '/v1/notifications?state=failed')).json().data.length > 0)
    const browser = await startBrowser(t)
    const { page, complaints } = await openPage(browser)
    await enter(page, url, KEYS.ops)
    for (const { width, dark } of LOOKS) {
      await page.setViewportSize({ width, height: 900 })
      await page.emulateMedia({ colorScheme: dark ? 'dark' : 'light' })
      for (const view of [...VIEWS, `ending/${id}`, `session/${session}`]) {
        await page.goto(`${url}/console#/${view}`)
        await page.locator('details.curl').first().waitFor({ state: 'attached' })
        const where = `${view}, ${width} px, ${dark ? 'dark' : 'light'}`
        t.same(await serious(page), [], where)
        t.match(await page.title(), /· Curfew$/, 'nothing of what callers wrote has run')
        t.equal(await page.locator('main img, main script').count(), 0)
        const wide = await page.evaluate(OVER_THE_EDGE)
        t.ok(Number(wide) <= 0, `${where}: nothing hangs over the edge`)
      }
      await page.goto(`${url}/console#/now`)
      await page.getByRole('button', { name: 'Pause all calls…' }).click()
      t.same(await serious(page), [], 'a dialog')
      await page.getByRole('button', { name: 'Leave it' }).click()
    }
    await page.goto(`${url}/console#/ledger?limit=200`)
    await until(async () => (await page.getByRole('row').count()) === 201)
    t.same(complaints, [])
  },
)

t.test('an outage is said plainly, and is over by itself', { skip, timeout: 60_000 }, async (t) => {
  const sandbox = await startSandbox()
  t.teardown(() => sandbox.close())
  const { app, request } = await startService(t, { sandbox })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const browser = await startBrowser(t)
  const { page } = await openPage(browser)
  await enter(page, url, KEYS.ops, '#/ledger')
  const see = (text: string | RegExp) => page.getByText(text).filter({ visible: true }).first().waitFor()
  const { db } = app.database
  await db.schema.alterTable('endings').renameTo('away').execute()
  await see(/The ledger cannot be shown/)
  await db.schema.alterTable('away').renameTo('endings').execute()
  await until(async () => (await page.getByText(/cannot be shown/).count()) === 0)

  await page.route('**/v1/**', (route) => route.abort())
  await page.route('**/status', (route) => route.abort())
  await see(/Curfew cannot be reached/)
  await page.unroute('**/v1/**')
  await page.unroute('**/status')
  await until(async () => (await page.getByText(/cannot be reached/).count()) === 0)

  // A slow network: what is known stays, what is not says that it is asked for.
  await page.route('**/v1/**', async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 1500))
    await route.continue()
  })
  await page.goto(`${url}/console#/rules`)
  await see('Asking…')
  await see('Every room is open')
  await page.unroute('**/v1/**')

  sandbox.inject({ kind: 'status', status: 500, times: Number.POSITIVE_INFINITY })
  const { id } = sandbox.startSession({ room: sandbox.createRoom({}).id })
  for (let i = 0; i < 6; i += 1) await request('POST', `/v1/sessions/${id}/end`, { body: { key: `${i}` } })
  await page.goto(`${url}/console#/now`)
  await see(/Digital Samba does not answer sensibly/)
  await page.goto(`${url}/console#/sessions`)
  await see(/What is live cannot be shown/)
  sandbox.clearFaults()
  await page.goto(`${url}/console#/now`)
  await see('Calls leave.')

  // The key is withdrawn while the page is open.
  await page.route('**/status', (route) =>
    route.fulfill({ status: 401, json: { detail: 'this key is not known' } }),
  )
  await see('This key is not known (any more).')
  t.equal(await page.evaluate("sessionStorage.getItem('curfew-key')"), null)
})

t.test('whoever has not opened it loads nothing of it, and what it loads is bounded', async (t) => {
  const { request } = await startService(t)
  const page = await request('GET', '/console', { as: null })
  t.equal(page.statusCode, 200)
  t.match(page.headers['content-security-policy'], /^default-src 'none'; script-src 'self'; style-src 'self'/)
  t.notMatch(page.body, /<script>|<style>|style=|onload=/, 'no inline code or style')
  t.notMatch(page.body, /https?:\/\//, 'names no other machine')
  for (const name of ['main.js', 'style.css', 'lib/preact.mjs', 'lib/signals.mjs', 'lib/uplot.mjs']) {
    const part = await request('GET', `/console/${name}`, { as: null })
    t.equal(part.statusCode, 200, name)
    t.notMatch(part.body, /from\s*"(preact|@preact)/, 'a browser finds what it asks for')
  }
  t.match((await request('GET', '/console/')).headers, { location: '../console' })
  for (const url of [
    '/console/nothing.js',
    '/console/..%2fapp.ts',
    '/console/lib/..%2fpackage.json',
    '/console/__proto__',
  ])
    t.equal((await request('GET', url)).statusCode, 404, url)
})
