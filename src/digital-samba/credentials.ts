/** The three forms of authentication that the vendor documents. */
export const AUTH_FORMS = ['basic', 'bearer', 'bearer-team'] as const

export interface Credentials {
  form: (typeof AUTH_FORMS)[number]
  teamId: string
  developerKey: string
}

export function authorization({ form, teamId, developerKey }: Credentials): string {
  const pair = Buffer.from(`${teamId}:${developerKey}`).toString('base64')
  if (form === 'basic') return `Basic ${pair}`
  return `Bearer ${form === 'bearer' ? developerKey : pair}`
}

/** Takes the credentials out of what Digital Samba says, should it (or a proxy before it) repeat them. */
export function scrubber({ teamId, developerKey }: Credentials): (text: string) => string {
  const pair = Buffer.from(`${teamId}:${developerKey}`).toString('base64')
  const key64 = Buffer.from(developerKey).toString('base64')
  return (text) =>
    [pair, key64, developerKey].reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), text)
}
