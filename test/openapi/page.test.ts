import t from 'tap'
import { openPage, skip, startBrowser } from '../helper/browser.ts'
import { startService } from '../helper/service.ts'
import { Conformance } from './conformance.ts'

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; font-src 'self'; img-src 'self' data:"

t.test('the parts of /docs come under a strict policy, and nothing else is there', async (t) => {
  const { request } = await startService(t)
  const page = await request('GET', '/docs', { as: null })
  t.equal(page.statusCode, 200)
  t.match(page.headers['content-type'], /^text\/html/)
  t.ok(String(page.headers['content-security-policy']).startsWith(POLICY))
  t.notMatch(page.body, /<script>|<style>|style=|onload=/, 'no inline code or style')
  t.notMatch(page.body, /https?:\/\//, 'names no other machine')
  const parts = [...page.body.matchAll(/(?:href|src)="docs\/([^"]+)"/g)].map(([, name]) => name)
  t.equal(parts.length, 5)
  for (const name of parts) {
    const part = await request('GET', `/docs/${name}`, { as: null })
    t.equal(part.statusCode, 200)
    t.match(part.headers, { 'content-security-policy': page.headers['content-security-policy'] as string })
    t.match(part.headers, { 'x-content-type-options': 'nosniff' })
  }
  t.match((await request('GET', '/docs/')).headers, { location: '../docs' })
  for (const url of [
    '/docs/nothing.js',
    '/docs/..%2fpackage.json',
    '/docs/swagger-ui.js',
    '/docs/__proto__',
  ]) {
    const answer = await request('GET', url)
    t.equal(answer.statusCode, 404, url)
    t.equal(answer.json().type, 'urn:curfew:problem:not-found')
  }
  const wrong = await request('POST', '/docs')
  t.match([wrong.statusCode, wrong.headers.allow], [405, 'GET, HEAD'])
})

t.test('/docs in a browser shows every operation and asks no other machine', { skip }, async (t) => {
  const { app } = await startService(t)
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const { page, hosts, complaints } = await openPage(await startBrowser(t))
  page.on('response', (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()} ${response.url()}`)
  })
  await page.goto(`${url}/docs`)
  await page.waitForSelector('.opblock')
  const document = (await app.inject('/openapi.json')).json()
  const operations = new Conformance(document).operations()
  const sent = Object.keys(document.webhooks)
  t.equal(sent.length, 5)
  t.equal(await page.locator('.opblock').count(), operations.length + sent.length)
  t.match(await page.title(), /Curfew/)
  await page.locator('#operations-endings-endSession .opblock-summary').click()
  await page.waitForSelector('#operations-endings-endSession .responses-table')
  const shown = await page.locator('#operations-endings-endSession').textContent()
  for (const text of ['Idempotency-Key', '202', '422', 'application/problem+json'])
    t.ok(shown?.includes(text), `shows ${text}`)
  t.same([...hosts], [new URL(url).host])
  t.same(complaints, [])
})
