import { timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Webhook } from 'standardwebhooks'
import { digestOf, type EventSecret } from '../config/keys.ts'
import { Problem } from '../problem.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The name of whoever signed `body` as Standard Webhooks say; undefined where nobody known did, or not just now. */
    signerOf: (headers: FastifyRequest['headers'], body: Buffer) => string | undefined
    /** An onRequest hook: whoever gets past it is Digital Samba. */
    authenticateDigitalSamba: (request: FastifyRequest) => Promise<void>
  }
}

export interface SenderOptions {
  eventSecrets: EventSecret[]
  webhookSecret: string | undefined
}

/** Who sends what is not signed in as a caller: signed events, and Digital Samba's own webhooks. */
export default fp<SenderOptions>(async function senders(app, { eventSecrets, webhookSecret }) {
  const verifiers = eventSecrets.map(({ name, secret }) => ({ name, webhook: new Webhook(secret) }))
  app.decorate('signerOf', (headers, body) => {
    const signed = {
      'webhook-id': only(headers['webhook-id']),
      'webhook-timestamp': only(headers['webhook-timestamp']),
      'webhook-signature': only(headers['webhook-signature']),
    }
    // Node joins a header that came twice; which of the two was meant nobody knows.
    if (!/^\d+$/.test(signed['webhook-timestamp']) || signed['webhook-signature'].includes(', '))
      return undefined
    return verifiers.find(({ webhook }) => isSignedBy(webhook, body, signed))?.name
  })

  const digest = webhookSecret === undefined ? undefined : digestOf(webhookSecret)
  app.decorate('authenticateDigitalSamba', async ({ headers, log }) => {
    if (!digest) throw new Problem('not-found', 'DIGITAL_SAMBA_WEBHOOK_SECRET is not set')
    // The documents disagree whether the value comes after "Bearer " or by itself.
    const given = headers.authorization ?? ''
    const forms = [given, given.replace(/^Bearer +/i, '')]
    if (forms.filter((form) => timingSafeEqual(digestOf(form), digest)).length > 0) return
    app.notices.webhook.lastRefusedAt = app.ledger.clock.now()
    log.warn('webhook.refused')
    throw new Problem(
      'unauthorized',
      "the header Authorization must hold the webhook's authorization_header",
      {
        headers: { 'www-authenticate': 'Bearer realm="curfew"' },
      },
    )
  })
})

const only = (value: string | string[] | undefined) => (typeof value === 'string' ? value : '')

// The library throws whatever the reason; five minutes' tolerance is its own, by the real clock.
function isSignedBy(webhook: Webhook, body: Buffer, headers: Record<string, string>): boolean {
  try {
    webhook.verify(body, headers, { jsonParse: false })
    return true
  } catch {
    return false
  }
}
