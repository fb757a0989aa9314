import type { Form, Settings } from './settings.ts'

/** All three documented forms: Basic TEAM:KEY, Bearer KEY, and Bearer with what Basic would carry. */
export function isAuthentic(authorization: string | undefined, { credentials, forms }: Settings): boolean {
  const [, scheme, token] = /^(\S+) +(\S+)$/.exec(authorization ?? '') ?? []
  const pair = Buffer.from(`${credentials.teamId}:${credentials.developerKey}`).toString('base64')
  const wanted: Record<Form, [scheme: string, token: string]> = {
    basic: ['basic', pair],
    bearer: ['bearer', credentials.developerKey],
    'bearer-team': ['bearer', pair],
  }
  return forms.some((form) => wanted[form][0] === scheme?.toLowerCase() && wanted[form][1] === token)
}
