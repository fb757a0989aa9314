/** Where this service takes Digital Samba's webhooks. */
export const PATH = '/v1/webhooks/digital-samba'
export const NEEDED_EVENTS = ['session_started', 'session_ended']

// What the vendor takes.
const LONGEST = 100

/** What is wrong with a URL that Digital Samba is to send to; undefined where nothing is. */
export function urlFlaw(text: string): string | undefined {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol)) return `must be a URL such as https://HOST${PATH}`
  if (text.length > LONGEST)
    return `must not be longer than ${LONGEST} characters: Digital Samba takes no more`
  if (!text.endsWith(PATH)) return `must end in ${PATH}, which is where Curfew takes them`
  if (url.username || url.password) return 'must hold no credentials'
  const isHere = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)
  return url.protocol === 'https:' || isHere
    ? undefined
    : 'must begin with https://: a secret is sent with them'
}

/** A URL without what may be secret in it. */
export function shown(text: string): string {
  const url = URL.parse(text)
  return url ? `${url.origin}${url.pathname}` : '(no URL)'
}
