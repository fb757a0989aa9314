import { randomUUID } from 'node:crypto'
import t from 'tap'
import { enter, openPage, skip, startBrowser } from '../helper/browser.ts'
import { startReceiver, tells } from '../helper/receiver.ts'
import { KEYS, startService, until } from '../helper/service.ts'

const READER = 'reader-key-00000000000000'
const HOUR_MS = 3_600_000
const inHours = (hours: number) => new Date(Date.now() + hours * HOUR_MS).toISOString()

t.test('every view and every action', { skip, timeout: 110_000 }, async (t) => {
  const booking = await startReceiver(t)
  booking.answer = (_, response) => void response.writeHead(410).end('gone')
  const service = await startService(t, {
    env: { ...tells({ booking }), READ_KEYS: `wall:${READER}`, SHUTDOWN_GRACE: '0s' },
  })
  const { app, sandbox, request, ending } = service
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const room = sandbox.createRoom({ friendlyUrl: 'board-room' }).id
  const live = () => sandbox.startSession({ room }).id
  const ask = async (session: string, body: object = {}) =>
    (await request('POST', `/v1/sessions/${session}/end`, { body })).json().id as string
  const browser = await startBrowser(t)
  const { page, complaints, hosts } = await openPage(browser)
  const see = (text: string | RegExp) => page.getByText(text).filter({ visible: true }).first().waitFor()
  const press = (name: string | RegExp) => page.getByRole('button', { name }).first().click()
  const inDialog = page.getByRole('dialog')

  await t.test('a wrong key is asked for again, and the right one is kept for the tab only', async (t) => {
    await page.goto(`${url}/console`)
    await page.getByLabel('Your key').fill('nobody-knows-this-key-000')
    await press('Look')
    await see('This key is not known')
    complaints.length = 0
    await enter(page, url, KEYS.ops)
    t.notMatch(page.url(), KEYS.ops)
    t.equal(await page.evaluate('localStorage.length'), 0)
    await page.reload()
    await page.getByRole('navigation').waitFor()
  })

  await t.test('now: the brake', async (t) => {
    await press('Pause all calls…')
    await inDialog.getByLabel('Why?').fill('wrong sessions are ending')
    await inDialog.getByRole('button', { name: 'Pause' }).click()
    await inDialog.getByText('Paused').waitFor()
    await inDialog.getByRole('button', { name: 'Close' }).click()
    await see('wrong sessions are ending')
    t.match((await request('GET', '/status')).json().calls.state, 'paused')
    await press('Let it go on…')
    await inDialog.getByRole('button', { name: 'Let it go on' }).click()
    await inDialog.getByText('It goes on').waitFor()
    await inDialog.getByRole('button', { name: 'Close' }).click()
    t.match((await request('GET', '/status')).json().calls.state, 'ok')
  })

  await t.test('now: what comes due, and what was over', async () => {
    await ask(live(), { dueAt: inHours(0.5), key: 'booking:now' })
    const over = await ask(live())
    await until(async () => (await ending(over)).state === 'ended')
    await page.reload()
    await see('booking:now')
    await page.locator('svg.bars rect').first().waitFor()
    await see(/live sessions/)
  })

  await t.test('the ledger: filters in the address, rows that appear, some and all that match', async (t) => {
    const failed = await ask(randomUUID(), { reason: 'nobody_there' })
    const ids = []
    for (let i = 0; i < 3; i += 1)
      ids.push(await ask(live(), { dueAt: inHours(2), reason: 'many', key: `many:${i}` }))
    await page.getByRole('link', { name: 'Ledger' }).click()
    await page.getByLabel('Reason').fill('many')
    await press('Find')
    await page.waitForURL(/reason=many/)
    // What is found, and no more: until it is, the page shows what it showed.
    await until(async () => (await page.getByRole('row').count()) === 4)
    await see('many:2')
    ids.push(await ask(live(), { dueAt: inHours(2), reason: 'many', key: 'many:3' }))
    await see('many:3')
    await page.getByLabel(`select ${ids[3]}`).check()
    await press(/^Take 1 back/)
    await inDialog.getByRole('button', { name: 'Take them back' }).click()
    await inDialog.getByText('1 done').waitFor()
    await inDialog.getByRole('button', { name: 'Close' }).click()
    t.equal((await ending(ids[3] as string)).state, 'cancelled')
    await press('Take back all that match…')
    await inDialog.getByText('3 would be taken back').waitFor()
    await inDialog.getByRole('button', { name: 'Leave it' }).click()
    t.equal((await ending(ids[0] as string)).state, 'pending', 'nothing was done')
    await press('Take back all that match…')
    await inDialog.getByText('3 would be taken back').waitFor()
    await inDialog.getByRole('button', { name: 'Take them back' }).click()
    await inDialog.getByText('3 done').waitFor()
    for (const id of ids) t.equal((await ending(id)).state, 'cancelled')
    await inDialog.getByRole('button', { name: 'Close' }).click()

    await page.goto(`${url}/console#/ledger?state=failed&reason=nobody_there`)
    await see('session_not_found')
    await press('Retry all that match…')
    await inDialog.getByText('1 would be tried again').waitFor()
    await inDialog.getByRole('button', { name: 'Retry them' }).click()
    await inDialog.getByText('1 done').waitFor()
    t.ok((await ending(failed)).changes?.some(({ change }) => change === 'retried'))
  })

  await t.test('an ending: its life, ten more minutes, taken back, its receipt', async (t) => {
    const id = await ask(live(), { dueAt: inHours(1), key: 'booking:life' })
    const { dueAt } = await ending(id)
    await page.goto(`${url}/console#/ending/${id}`)
    await see('asked for')
    await press('Ten more minutes…')
    await inDialog.getByRole('button', { name: 'Ten more minutes' }).click()
    await see('moved')
    t.equal(Date.parse((await ending(id)).dueAt) - Date.parse(dueAt), 600_000)
    const downloading = page.waitForEvent('download')
    await press('Receipt')
    t.equal((await downloading).suggestedFilename(), `curfew-${id}.json`)
    await press('Take it back…')
    await inDialog.getByRole('button', { name: 'Take it back' }).click()
    await see('not told')
    t.equal((await ending(id)).state, 'cancelled')
  })

  await t.test('sessions: what ends them, ten more minutes, end now, and why', async (t) => {
    const session = live()
    const id = await ask(session, { dueAt: inHours(1), reason: 'booking_over' })
    await page.goto(`${url}/console#/sessions`)
    const row = page.getByRole('row').filter({ hasText: `…${session.slice(-12)}` })
    await row.getByRole('button', { name: 'Ten more minutes…' }).click()
    await inDialog.getByRole('button', { name: 'Ten more minutes' }).click()
    await until(async () => (await ending(id)).changes?.length === 1)
    await row.getByRole('button', { name: 'End now…' }).click()
    await inDialog.getByRole('button', { name: 'End it' }).click()
    await until(() => sandbox.session(session)?.live === false)
    await page.goto(`${url}/console#/session/${session}`)
    await see(/ops/)
    await see('ended_by_hand')
    t.equal(await page.getByRole('heading', { name: 'Its endings' }).count(), 1)
  })

  await t.test('rules and holds: made, changed, removed', async (t) => {
    await page.goto(`${url}/console#/rules`)
    await press('New rule…')
    await inDialog.getByLabel('Room').fill('quiet-room')
    await inDialog.getByLabel('Minutes that').fill('60')
    await inDialog.getByRole('button', { name: 'Set it' }).click()
    await see('60 min')
    await press('Change…')
    await inDialog.getByLabel('Minutes that').fill('50')
    await inDialog.getByRole('button', { name: 'Set it' }).click()
    await see('50 min')
    await press('Remove…')
    await inDialog.getByRole('button', { name: 'Remove it' }).click()
    await see('No room has a limit of its own')
    await press('Keep a room closed…')
    await inDialog.getByLabel('Room').fill('closed-room')
    await inDialog.getByLabel('Until').fill('2027-01-01T12:00')
    await inDialog.getByRole('button', { name: 'Close it' }).click()
    await inDialog.getByText('Whoever is in it is sent home').waitFor()
    await inDialog.getByRole('button', { name: 'Close', exact: true }).click()
    await see('closed_by_hand')
    await press('Open it…')
    await inDialog.getByRole('button', { name: 'Open it' }).click()
    await see('Every room is open')
    t.same((await request('GET', '/v1/holds')).json().data, [])
  })

  await t.test('notifications: what failed, told again', async () => {
    await page.goto(`${url}/console#/notifications`)
    await see('answered 410')
    booking.answer = (_, response) => void response.end()
    await press('Tell it again…')
    await inDialog.getByRole('button', { name: 'Tell it' }).click()
    await press('Tell all that match again…')
    await inDialog.getByText(/would be told again/).waitFor()
    await inDialog.getByRole('button', { name: 'Tell them' }).click()
    await inDialog.getByText(/are told again/).waitFor()
    await inDialog.getByRole('button', { name: 'Close' }).click()
    await see('None is failed')
  })

  await t.test('lateness', async () => {
    await page.goto(`${url}/console#/lateness`)
    await page.locator('.chart canvas').waitFor()
    await page.getByRole('cell', { name: '200' }).waitFor()
  })

  await t.test('each view shows what it asked as curl', async (t) => {
    for (const view of ['now', 'ledger', 'sessions', 'rules', 'notifications', 'lateness']) {
      await page.goto(`${url}/console#/${view}`)
      await page.locator('details.curl pre').first().waitFor({ state: 'attached' })
      t.match(await page.locator('details.curl pre').first().textContent(), /^curl -s "\$CURFEW\/.*\$KEY"/)
    }
  })

  await t.test('a key that may only read sees everything and no button', async (t) => {
    await press('Forget the key')
    await page.getByLabel('Your key').fill(READER)
    await press('Look')
    await ask(live(), { dueAt: inHours(1), key: 'booking:read' })
    for (const view of ['now', 'ledger', 'sessions', 'rules', 'notifications']) {
      await page.goto(`${url}/console#/${view}`)
      await page.locator('details.curl').first().waitFor()
      const names = await page.locator('main button').allTextContents()
      t.same(
        names.filter((name) => !/^(Find|All|Look|More)$/.test(name)),
        [],
        view,
      )
    }
    await see(/may only read/)
  })

  t.same(complaints, [], 'no error, no warning, no violation of the policy')
  t.same([...hosts], [new URL(url).host], 'and no other machine')
})
