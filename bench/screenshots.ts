import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startSandbox } from '../src/sandbox/sandbox.ts'
import { enter, openPage, startBrowser } from '../test/helper/browser.ts'
import { seeded } from '../test/helper/crash.ts'
import { startProcess } from '../test/helper/process.ts'
import { startReceiver, tells } from '../test/helper/receiver.ts'
import { environment, KEYS } from '../test/helper/service.ts'

/** `npm run screenshots`: the pictures of docs/console.md, taken from a Curfew with two minutes of traffic. */
const images = fileURLToPath(new URL('../docs/images', import.meta.url))
mkdirSync(images, { recursive: true })
const MINUTE_MS = 60_000
const TRAFFIC_MS = 2 * MINUTE_MS
const random = seeded(7)
const teardowns: Array<() => unknown> = []
const t = { teardown: (done: () => unknown) => void teardowns.push(done) } as never

const sandbox = await startSandbox({})
const receiver = await startReceiver(t)
receiver.answer = (_, response) => void response.writeHead(random() < 0.02 ? 410 : 204).end()
const folder = mkdtempSync(join(tmpdir(), 'curfew-screenshots-'))
const curfew = await startProcess(
  environment(sandbox, `file:${join(folder, 'curfew.db')}`, {
    ...tells({ booking: receiver }),
    WARN_MINUTES: '5',
  }),
)
const ask = async (method: string, path: string, body: object, key: string) =>
  (
    await fetch(`${curfew.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  ).json() as Promise<{ id: string }>

const rooms = ['board-room', 'team-standup', 'interview-3', 'all-hands', 'sales-demo'].map(
  (friendlyUrl) => sandbox.createRoom({ friendlyUrl }).id,
)
const until = Date.now() + TRAFFIC_MS
let booking = 8700
let shown = ''
for (const { maxMinutes, room } of [
  { maxMinutes: 60, room: 'team-standup' },
  { maxMinutes: 45, room: 'interview-3' },
])
  await ask('PUT', `/v1/time-limits/${room}`, { maxMinutes }, KEYS.desk)
await ask(
  'POST',
  '/v1/rooms/closed-wing/end',
  { reason: 'billing_suspended', holdUntil: new Date(Date.now() + 86_400_000).toISOString() },
  KEYS.billing,
)
while (Date.now() < until) {
  booking += 1
  const room = rooms[Math.floor(random() * rooms.length)] as string
  const { id: session } = sandbox.startSession({ room })
  const dueAt = new Date(
    Date.now() + (random() < 0.4 ? random() * 3_000_000 : random() * 20_000),
  ).toISOString()
  const by = random() < 0.7 ? KEYS.booking : KEYS.billing
  const target = random() < 0.05 ? '0199b8a2-6f3c-4000-8000-0a1b2c3d4e5f' : session
  const made = await ask(
    'POST',
    `/v1/sessions/${target}/end`,
    { dueAt, key: `booking:${booking}`, reason: 'booking_over', metadata: { ticket: `A-${booking}` } },
    by,
  )
  if (random() < 0.1) await ask('PATCH', `/v1/endings/${made.id}`, { extendMinutes: 10 }, by)
  if (random() < 0.05) await ask('POST', `/v1/endings/${made.id}/cancel`, {}, KEYS.ops)
  if (target === session && by === KEYS.booking && Date.parse(dueAt) < Date.now() + 5000) shown = made.id
  if (random() < 0.3)
    sandbox.inject({ operation: 'end', kind: 'delay', delayMs: Math.round(random() * 400), times: 1 })
  await pause(250 + random() * 500)
}

const browser = await startBrowser(t)
const { page } = await openPage(browser)
await enter(page, curfew.url, KEYS.ops)
const VIEWS = {
  now: '',
  ledger: '',
  ending: `/${shown}`,
  sessions: '',
  rules: '',
  notifications: '?state=told',
  lateness: '',
}
for (const [view, rest] of Object.entries(VIEWS)) {
  await page.goto(`${curfew.url}/console#/${view}${rest}`)
  await page.locator('details.curl').first().waitFor()
  await pause(1500)
  await page.screenshot({ path: join(images, `${view}.png`) })
}
await page.setViewportSize({ width: 360, height: 740 })
await page.emulateMedia({ colorScheme: 'dark' })
await page.goto(`${curfew.url}/console#/now`)
await pause(1500)
await page.screenshot({ path: join(images, 'phone.png') })
for (const done of teardowns.reverse()) await done()
curfew.signal('SIGTERM')
await curfew.exited
await sandbox.close()
rmSync(folder, { recursive: true, force: true })
process.stdout.write(`${Object.keys(VIEWS).length + 1} pictures are in docs/images\n`)
