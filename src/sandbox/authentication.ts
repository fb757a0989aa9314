import type { Credentials } from './settings.ts'

/** All three documented forms: Basic TEAM:KEY, Bearer KEY, and Bearer with what Basic would carry. */
export function isAuthentic(authorization: string | undefined, credentials: Credentials): boolean {
  const [, scheme, token] = /^(\S+) +(\S+)$/.exec(authorization ?? '') ?? []
  const pair = Buffer.from(`${credentials.teamId}:${credentials.developerKey}`).toString('base64')
  if (scheme?.toLowerCase() === 'basic') return token === pair
  return scheme?.toLowerCase() === 'bearer' && (token === credentials.developerKey || token === pair)
}
