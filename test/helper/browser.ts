import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import type { Test } from 'tap'

const platform = `${process.platform}-${process.arch}`
/** Why the browser of the packages cannot run here; false where it can. */
export const skip =
  platform === 'linux-x64' ? false : `the browser in the packages is for linux-x64, this is ${platform}`

type Teardown = Pick<Test, 'teardown'>

export async function startBrowser(t: Teardown): Promise<Browser> {
  // It unpacks itself into the folder for temporary files, where another user may have left one that is not ours to run.
  const folder = mkdtempSync(join(tmpdir(), 'curfew-browser-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const before = process.env.TMPDIR
  process.env.TMPDIR = folder
  const { default: Chromium } = await import('@sparticuz/chromium')
  const browser = await chromium.launch({
    executablePath: await Chromium.executablePath(),
    args: Chromium.args,
    headless: true,
  })
  if (before === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = before
  t.teardown(() => browser.close())
  return browser
}

/** A page that keeps what it complains of, and whom it asks. */
export interface Watched {
  page: Page
  complaints: string[]
  hosts: Set<string>
}

interface Looks {
  width?: number
  dark?: boolean
}

export async function openPage(
  browser: Browser,
  { width = 1440, dark = false }: Looks = {},
): Promise<Watched> {
  const page = await browser.newPage({
    viewport: { width, height: 900 },
    colorScheme: dark ? 'dark' : 'light',
    acceptDownloads: true,
    locale: 'en-GB',
  })
  const hosts = new Set<string>()
  const complaints: string[] = []
  page.on('request', (request) => {
    const { protocol, host } = new URL(request.url())
    if (protocol.startsWith('http')) hosts.add(host)
  })
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  await page.addInitScript(
    "document.addEventListener('securitypolicyviolation', (e) => console.error('CSP: ' + e.violatedDirective))",
  )
  return { page, hosts, complaints }
}

/** Opens the console of a service with a key. */
export async function enter(page: Page, url: string, key: string, hash = ''): Promise<void> {
  await page.goto(`${url}/console${hash}`)
  await page.getByLabel('Your key').fill(key)
  await page.getByRole('button', { name: 'Look' }).click()
  await page.getByRole('navigation').waitFor()
}
