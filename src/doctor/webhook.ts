import type { Config } from '../config/config.ts'
import { DigitalSambaError } from '../digital-samba/errors.ts'
import type { Inquiry } from '../digital-samba/inquiry.ts'
import { type Webhook, WebhookCallError, WebhooksApi } from '../digital-samba/webhooks.ts'
import { type Finding, findingsOf } from './finding.ts'
import { NEEDED_EVENTS, PATH, shown } from './webhook-url.ts'

const { ok, warning, wrong, skipped } = findingsOf('webhook')

export interface WebhookWish {
  /** what the URL should be; undefined where nobody has said so */
  url: string | undefined
  /** whether it is to be made or mended */
  fix: boolean
}

/** Digital Samba's webhook to this service: there, the right URL, the right events, the right secret. */
export async function checkWebhook(config: Config, inquiry: Inquiry, wish: WebhookWish): Promise<Finding[]> {
  const api = new WebhooksApi(inquiry, config.digitalSamba.credentials)
  const secret = config.webhookSecret
  try {
    // Another Curfew of the same team may have one as well: only the secret says for sure whose it is.
    const found = await api.list(
      (webhook) => isOurs(webhook, secret, wish.url) || webhook.endpoint.includes(PATH),
    )
    const ours = found.filter((webhook) => isOurs(webhook, secret, wish.url))
    if (secret === undefined) return withoutSecret(found, wish)
    const made = wish.fix ? await fix(api, ours, { url: wish.url as string, secret }) : undefined
    if (made) return [made, ...others(found, made.id)]
    return ours.length > 0
      ? ours.flatMap((webhook) => judge(webhook, secret, wish.url))
      : [none(found, wish.url)]
  } catch (error) {
    if (!(error instanceof DigitalSambaError || error instanceof WebhookCallError)) throw error
    return [wrong(`Digital Samba's webhooks: ${error.message}`, 'try again; nothing else depends on it')]
  }
}

function isOurs(
  { endpoint, authorizationHeader }: Webhook,
  secret: string | undefined,
  url?: string,
): boolean {
  return endpoint === url || (secret !== undefined && bare(authorizationHeader) === secret)
}

/** The documents disagree whether "Bearer" belongs to the value. */
function bare(header: string | null): string | undefined {
  return header?.replace(/^Bearer +/i, '')
}

function withoutSecret(found: Webhook[], { fix }: WebhookWish): Finding[] {
  const todo = 'set DIGITAL_SAMBA_WEBHOOK_SECRET, restart, and run this again with --fix-webhook URL'
  if (fix) return [wrong('nothing was made: DIGITAL_SAMBA_WEBHOOK_SECRET is not set', todo)]
  if (found.length === 0)
    return [skipped('none is taken: DIGITAL_SAMBA_WEBHOOK_SECRET is not set. Ends are confirmed by asking')]
  return found.map(({ endpoint }) =>
    wrong(`one is sent to ${shown(endpoint)}, but DIGITAL_SAMBA_WEBHOOK_SECRET is not set`, todo),
  )
}

function none(found: Webhook[], url: string | undefined): Finding {
  const elsewhere = found.map(({ endpoint }) => shown(endpoint)).join(', ')
  const says =
    elsewhere === '' ? 'there is none' : `there is none with this secret; others are sent to ${elsewhere}`
  return wrong(`${says}: ends are confirmed by asking, and time limits are seen late`, fixBy(url))
}

function fixBy(url: string | undefined): string {
  return `npm run doctor -- --fix-webhook ${url ?? `https://HOST${PATH}`}`
}

function judge(webhook: Webhook, secret: string, url: string | undefined): Finding[] {
  const where = shown(webhook.endpoint)
  const missing = NEEDED_EVENTS.filter((event) => !webhook.events.includes(event))
  const findings: Finding[] = []
  if (url !== undefined && webhook.endpoint !== url)
    findings.push(wrong(`it is sent to ${where}, not to ${shown(url)}`, fixBy(url)))
  else if (url === undefined && !webhook.endpoint.includes(PATH))
    findings.push(wrong(`it is sent to ${where}, which does not end in ${PATH}`, fixBy(url)))
  if (missing.length > 0)
    findings.push(wrong(`it is not sent for ${missing.join(' and ')}`, fixBy(url ?? webhook.endpoint)))
  if (bare(webhook.authorizationHeader) !== secret)
    findings.push(
      wrong(
        `what is sent to ${where} carries another secret than DIGITAL_SAMBA_WEBHOOK_SECRET, and is refused`,
        fixBy(url ?? webhook.endpoint),
      ),
    )
  if (findings.length > 0) return findings
  const compared = url === undefined ? ' (--webhook-url URL compares it)' : ''
  return [ok(`it is sent to ${where}${compared}, for ${webhook.events.join(', ')}, with this secret`)]
}

interface Fix {
  url: string
  secret: string
}

/** The one that has the URL, else one that has the secret, else a new one. Whatever else it is sent for stays. */
async function fix(
  api: WebhooksApi,
  ours: Webhook[],
  { url, secret }: Fix,
): Promise<Finding & { id: string }> {
  const before = ours.find(({ endpoint }) => endpoint === url) ?? ours[0]
  const events = [...new Set([...(before?.events ?? []), ...NEEDED_EVENTS])]
  const fields = { endpoint: url, events, authorizationHeader: secret }
  if (before && judge(before, secret, url).every(({ verdict }) => verdict === 'ok'))
    return { ...ok(`nothing to mend: it is sent to ${shown(url)}`), id: before.id }
  const { id } = before ? await api.update(before.id, fields) : await api.create(fields)
  // What it says that it has done is not taken at its word.
  const [first] = judge(await api.read(id), secret, url) as [Finding]
  if (first.verdict !== 'ok') return { ...first, says: `after it was mended, ${first.says}`, id }
  return { ...ok(`${before ? 'mended' : 'made'}: ${first.says}`), id }
}

function others(found: Webhook[], id: string): Finding[] {
  return found
    .filter((webhook) => webhook.id !== id)
    .map(({ endpoint }) =>
      warning(
        `another one is sent to ${shown(endpoint)}`,
        "leave it if it is another Curfew's; else delete it in the dashboard",
      ),
    )
}
