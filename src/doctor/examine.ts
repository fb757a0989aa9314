import type { Clock } from '../clock.ts'
import { checkConfiguration } from './configuration.ts'
import { checkDatabase } from './database.ts'
import { checkDigitalSamba } from './digital-samba.ts'
import { checkEndings } from './endings.ts'
import { type Finding, findingsOf, type Part } from './finding.ts'
import { checkWebhook, type WebhookWish } from './webhook.ts'

export interface Examination {
  env: NodeJS.ProcessEnv
  directory: string
  clock: Clock
  wish: WebhookWish
  /** Told of each part as soon as it has been looked at. */
  onFindings: (findings: Finding[]) => void
}

const OF_DIGITAL_SAMBA = [
  'DIGITAL_SAMBA_URL',
  'DIGITAL_SAMBA_ALLOW_HTTP',
  'DIGITAL_SAMBA_TEAM_ID',
  'DIGITAL_SAMBA_DEVELOPER_KEY',
  'DIGITAL_SAMBA_AUTH',
]

/** One part after the other, each as far as those before it allow. */
export async function examine({ env, directory, clock, wish, onFindings }: Examination): Promise<void> {
  const skip = (part: Part, why: string) => onFindings([findingsOf(part).skipped(`not looked at: ${why}`)])
  const { findings, config, bad } = await checkConfiguration(env, directory)
  onFindings(findings)
  const badFirst = 'its variables have to be right first'
  const ledger = config && !bad.has('DATABASE_URL') ? await checkDatabase(config, clock) : undefined
  if (ledger) onFindings(ledger.findings)
  else skip('database', badFirst)

  const isTold = config && OF_DIGITAL_SAMBA.every((name) => !bad.has(name))
  const samba = isTold ? await checkDigitalSamba(config, clock) : undefined
  if (samba) onFindings(samba.findings)
  else skip('digital-samba', badFirst)
  const untold = 'Digital Samba has to accept the credentials first'
  if (!config || !samba?.inquiry)
    onFindings([
      wish.fix
        ? findingsOf('webhook').wrong(`nothing was made or mended: ${untold}`, 'see above, and try again')
        : findingsOf('webhook').skipped(`not looked at: ${untold}`),
    ])
  else if (bad.has('DIGITAL_SAMBA_WEBHOOK_SECRET')) skip('webhook', badFirst)
  else onFindings(await checkWebhook(config, samba.inquiry, wish))

  if (config && ledger?.db && ledger.isCurrent)
    onFindings(await checkEndings(ledger.db, config, clock.now() + ledger.offsetMs))
  else skip('endings', 'there is no ledger that can be read, or it is not of this version')
  await ledger?.db?.destroy()
}
