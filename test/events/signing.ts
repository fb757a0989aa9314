import { Webhook } from 'standardwebhooks'

const secretOf = (letter: string) => `whsec_${Buffer.from(letter.repeat(32)).toString('base64')}`

/** What senders sign with: `till` is rotating, and nobody knows the stranger's. */
export const SECRETS = {
  shop: secretOf('s'),
  till: secretOf('t'),
  newTill: secretOf('n'),
  stranger: secretOf('x'),
} as const
export const EVENT_SECRETS = `shop:${SECRETS.shop},till:${SECRETS.till},till:${SECRETS.newTill}`

export interface SignOptions {
  secret?: string
  id?: string
  /** how old the signature is (ms); negative where it is from the future */
  age?: number
  /** epoch ms; for signatures that have to be of the same second */
  now?: number
}

/** The headers with which the official library signs `body`, as the shop and just now. */
export function signatureOf(
  body: string,
  { secret = SECRETS.shop, id = 'msg_1', age = 0, now = Date.now() }: SignOptions = {},
) {
  // Whoever checks it goes by the real clock.
  const at = new Date(now - age)
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(secret).sign(id, at, body),
  }
}

/** Every spelling in which a secret or key must not turn up anywhere. */
export function spellings(secret: string): string[] {
  const bare = secret.replace(/^whsec_/, '')
  const forms = [bare, Buffer.from(bare, 'base64').toString('latin1')]
  return [...forms, ...[secret, bare].map((form) => Buffer.from(form).toString('base64').replace(/=+$/, ''))]
}
