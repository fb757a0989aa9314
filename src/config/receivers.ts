import type { Receiver } from '../notification.ts'
import { entriesOf, RESERVED } from './keys.ts'

/** Lists as they stand in the configuration, where they have passed their patterns. */
export interface ReceiverLists {
  urls?: string | undefined
  secrets?: string | undefined
  /** whether plain http may go to other machines */
  allowHttp: boolean
  /** the names of all who may ask for endings */
  callers: ReadonlySet<string>
}

const MOST_SECRETS = 2
// A URL may have commas in it; what comes behind one and looks like the next entry is that.
const BETWEEN = /,(?=[a-z][a-z0-9-]*:https?:\/\/)/

/** Reads who is told of its endings, where, and what that is signed with. No problem repeats a URL: it may hold a secret. */
export function parseReceivers({ urls = '', secrets = '', allowHttp, callers }: ReceiverLists) {
  const problems: string[] = []
  const receivers: Receiver[] = []
  const secretsOf = Map.groupBy(entriesOf(secrets.split(',')), ([name]) => name)
  for (const [caller, url] of entriesOf(urls.split(BETWEEN))) {
    const own = (secretsOf.get(caller) ?? []).map(([, secret]) => secret)
    const flaw =
      nameFlaw(caller, callers, receivers) ?? urlFlaw(caller, url, allowHttp) ?? secretFlaw(caller, own)
    if (flaw) problems.push(flaw)
    else receivers.push({ caller, url, secrets: own })
  }
  return { receivers, problems: [...new Set(problems)] }
}

function nameFlaw(name: string, callers: ReadonlySet<string>, before: Receiver[]): string | undefined {
  if (name === RESERVED) return `NOTIFY_URLS must not use the name ${RESERVED}: it is Curfew's own`
  if (before.some(({ caller }) => caller === name)) return `NOTIFY_URLS must name one URL for ${name}`
  if (callers.has(name)) return undefined
  return `NOTIFY_URLS must use names that have a key or an event secret: ${name} has none`
}

function urlFlaw(name: string, text: string, allowHttp: boolean): string | undefined {
  const url = URL.parse(text)
  if (!url) return `NOTIFY_URLS must hold a URL such as https://booking.internal/curfew for ${name}`
  if (url.hash !== '') return `NOTIFY_URLS must hold a URL without a fragment (#) for ${name}`
  if (url.protocol === 'https:' || isLoopback(url.hostname) || allowHttp) return undefined
  return `NOTIFY_URLS must hold a URL that begins with https:// for ${name} (http:// only to this machine, or with NOTIFY_ALLOW_HTTP=true)`
}

function secretFlaw(name: string, secrets: string[]): string | undefined {
  if (secrets.length === 0)
    return `NOTIFY_SECRETS must hold a secret for ${name}, which NOTIFY_URLS names: name:whsec_SECRET, at least 24 bytes in base64`
  if (secrets.length <= MOST_SECRETS) return undefined
  return `NOTIFY_SECRETS must hold at most ${MOST_SECRETS} secrets for ${name}: the old one and the new one`
}

export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname)
}
