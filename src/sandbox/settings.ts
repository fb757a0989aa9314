export interface Credentials {
  teamId: string
  developerKey: string
}

export interface WebhookSettings {
  /** Nothing is delivered: what happens meanwhile is missed for good. */
  drop: boolean
  /** How many more times each delivery is made. */
  repeat: number
  delayMs: number
  /** What happens together is delivered in another order than it happened in. */
  shuffle: boolean
  /** The newer guide's header: the value as it is, instead of `Bearer VALUE`. */
  verbatim: boolean
  /** The newer guide's names: `event`, `room_id` and `session_id`. */
  newerNames: boolean
}

/** The three forms of authentication that are documented. */
export const FORMS = ['basic', 'bearer', 'bearer-team'] as const
export type Form = (typeof FORMS)[number]

export interface Settings {
  credentials: Credentials
  /** Which forms are taken: all that are documented, unless a team's account is said to know fewer. */
  forms: Form[]
  /** What ending an ended session answers: the documents name 409 in one place only. */
  alreadyEndedStatus: 404 | 409 | 422
  retryAfterAs: 'seconds' | 'date'
  callsPerMinute: number
  webhooks: WebhookSettings
}

export type SettingsChange = Partial<Omit<Settings, 'credentials' | 'webhooks'>> & {
  credentials?: Partial<Credentials>
  webhooks?: Partial<WebhookSettings>
}

export function defaultSettings(): Settings {
  return {
    credentials: { teamId: 'sandbox-team', developerKey: 'sandbox-developer-key' },
    forms: [...FORMS],
    alreadyEndedStatus: 409,
    retryAfterAs: 'seconds',
    callsPerMinute: 1000,
    webhooks: {
      drop: false,
      repeat: 0,
      delayMs: 0,
      shuffle: false,
      verbatim: false,
      newerNames: false,
    },
  }
}

export function changeSettings(settings: Settings, change: SettingsChange): void {
  const { credentials, webhooks, ...rest } = change
  Object.assign(settings, rest)
  Object.assign(settings.credentials, credentials)
  Object.assign(settings.webhooks, webhooks)
}
