import type { Clock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import { AUTH_FORMS } from '../digital-samba/credentials.ts'
import { DigitalSambaError } from '../digital-samba/errors.ts'
import { Inquiry, type Told } from '../digital-samba/inquiry.ts'
import { clockVerdict, type Finding, findingsOf, seconds } from './finding.ts'

const { ok, warning, wrong } = findingsOf('digital-samba')
const LONGEST_CALL_MS = 5000

export interface Reached {
  findings: Finding[]
  /** undefined where nothing more can be asked */
  inquiry: Inquiry | undefined
}

/** Lists one live session: that changes nothing, and needs all that the service needs. */
export async function checkDigitalSamba(config: Config, clock: Clock): Promise<Reached> {
  const { url, timeoutMs, credentials } = config.digitalSamba
  const inquiry = new Inquiry({ url, timeoutMs: Math.min(timeoutMs, LONGEST_CALL_MS), clock })
  const told = await answerOf(list(inquiry, credentials))
  if (told instanceof DigitalSambaError) {
    const todo = 'look at DIGITAL_SAMBA_URL, at the network between, and at what Digital Samba says of itself'
    return { findings: [wrong(`${url} cannot be reached: ${told.message}`, todo)], inquiry: undefined }
  }
  const verdict = await judge(config, inquiry, told)
  const findings = [ok(`${url} answers (${told.answeredAt - told.askedAt} ms)`), verdict, ...clocks(told)]
  return { findings, inquiry: verdict.verdict === 'ok' ? inquiry : undefined }
}

/** An error where there was no answer. */
function answerOf(asked: Promise<Told>): Promise<Told | DigitalSambaError> {
  return asked.catch((error: unknown) => {
    if (error instanceof DigitalSambaError) return error
    throw error
  })
}

function list(inquiry: Inquiry, credentials: Config['digitalSamba']['credentials']): Promise<Told> {
  return inquiry.ask({ credentials, path: 'api/v1/sessions', query: { live: 'true', limit: '1' } })
}

async function judge(config: Config, inquiry: Inquiry, told: Told): Promise<Finding> {
  const { form } = config.digitalSamba.credentials
  const { status } = told
  if (status >= 200 && status < 300 && Array.isArray((told.json as { data?: unknown } | null)?.data))
    return ok(`the credentials are accepted (DIGITAL_SAMBA_AUTH=${form})`)
  if (status === 401) return refused(config, inquiry)
  if (status === 403)
    return wrong(
      'the credentials are known, but may not list sessions (403)',
      'use a developer key with all rights',
    )
  if (status === 429)
    return warning(
      `the team's calls are used up (429)${told.retryAfter ? `, for ${told.retryAfter} s` : ''}`,
      'try again then; if it comes often, another program uses the same team: lower CALLS_PER_MINUTE',
    )
  if (status >= 500)
    return wrong(
      `it is out of order (${status}); endings wait and are tried again`,
      'look at what Digital Samba says of itself',
    )
  return wrong(
    `what answers (${status}) does not answer like Digital Samba's API`,
    'correct DIGITAL_SAMBA_URL: it is https://api.digitalsamba.com unless somebody has told you otherwise',
  )
}

/** Which of the other documented forms would do, if any. */
async function refused({ digitalSamba }: Config, inquiry: Inquiry): Promise<Finding> {
  const { form, ...pair } = digitalSamba.credentials
  for (const other of AUTH_FORMS.filter((one) => one !== form)) {
    const told = await answerOf(list(inquiry, { ...pair, form: other }))
    if (!(told instanceof DigitalSambaError) && told.status >= 200 && told.status < 300)
      return wrong(
        `the credentials are refused as DIGITAL_SAMBA_AUTH=${form} (401), and accepted as ${other}`,
        `set DIGITAL_SAMBA_AUTH=${other}, and restart`,
      )
  }
  return wrong(
    'the credentials are refused (401), in all three documented forms',
    'copy DIGITAL_SAMBA_TEAM_ID and DIGITAL_SAMBA_DEVELOPER_KEY from the dashboard of the team, and restart',
  )
}

/** The header has whole seconds, and was written half-way through the round trip: that much is not known. */
function clocks({ date, askedAt, answeredAt }: Told): Finding[] {
  if (date === undefined)
    return [warning('it does not say what time it is', 'see to it that this machine sets its clock by NTP')]
  const offsetMs = Math.round((askedAt + answeredAt) / 2 - (date + 500))
  const says = `this machine's clock is ${seconds(offsetMs)} ${offsetMs < 0 ? 'behind' : 'ahead of'} its`
  const verdict = clockVerdict(offsetMs)
  const values = { offsetMs }
  if (verdict === 'ok') return [ok(says, values)]
  const todo = "set this machine's clock by NTP: endings would be carried out that much too early or too late"
  return [{ ...(verdict === 'wrong' ? wrong : warning)(says, todo), values }]
}
