import { createHmac, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { systemClock } from '../clock.ts'
import { digestOf, type EventSecret } from '../config/keys.ts'
import { Problem } from '../problem.ts'

type Headers = FastifyRequest['headers']

declare module 'fastify' {
  interface FastifyInstance {
    /** Why nobody can have signed anything with these headers; undefined where only the body can tell. */
    signatureFlaw: (headers: Headers) => string | undefined
    /** The name of whoever signed `body` as Standard Webhooks say; undefined where nobody known did. */
    signerOf: (headers: Headers, body: Buffer) => string | undefined
    /** An onRequest hook: whoever gets past it is Digital Samba. */
    authenticateDigitalSamba: (request: FastifyRequest) => Promise<void>
  }
}

interface SenderOptions {
  eventSecrets: EventSecret[]
  webhookSecret: string | undefined
}

const TOLERANCE_SECONDS = 5 * 60
// HMAC-SHA256 in base64; a header may list several, blanks between them.
const SIGNATURE = /^v1,[A-Za-z0-9+/]{43}=$/

/** Who sends what is not signed in as a caller: signed events, and Digital Samba's own webhooks. */
export default fp<SenderOptions>(async function senders(app, { eventSecrets, webhookSecret }) {
  const signers = eventSecrets.map(({ name, secret }) => ({
    name,
    key: Buffer.from(secret.slice('whsec_'.length), 'base64'),
  }))
  app.decorate('signatureFlaw', (headers) =>
    signers.length === 0 ? 'no signature is taken: EVENT_SECRETS is not set' : flawOf(headers),
  )
  // With Node's own HMAC: the official library's, in JavaScript, takes 15 ms for each secret and MiB.
  app.decorate('signerOf', (headers, body) => {
    const prefix = `${headers['webhook-id']}.${headers['webhook-timestamp']}.`
    const given = signaturesIn(headers).map((text) => Buffer.from(text.slice('v1,'.length), 'base64'))
    return signers.find(({ key }) => {
      const wanted = createHmac('sha256', key).update(prefix).update(body).digest()
      return given.filter((signature) => timingSafeEqual(signature, wanted)).length > 0
    })?.name
  })

  const digest = webhookSecret === undefined ? undefined : digestOf(webhookSecret)
  app.decorate('authenticateDigitalSamba', async (request) => {
    const { headers, log } = request
    if (!digest) throw new Problem('not-found', 'DIGITAL_SAMBA_WEBHOOK_SECRET is not set')
    // The documents disagree whether the value comes after "Bearer " or by itself.
    const given = headers.authorization ?? ''
    const forms = [given, given.replace(/^Bearer +/i, '')].map(digestOf)
    const isOneOf = (wanted: Buffer) => forms.filter((form) => timingSafeEqual(form, wanted)).length > 0
    app.bounds.mayTry(request, (proof) => proof !== 'signature' && isOneOf(proof))
    if (isOneOf(digest)) {
      app.bounds.proved(request, digest)
      return app.bounds.countWebhook(request)
    }
    app.notices.webhook.lastRefusedAt = app.ledger.clock.now()
    log.warn('webhook.refused')
    throw await app.bounds.failed(
      request,
      new Problem('unauthorized', "the header Authorization must hold the webhook's authorization_header", {
        headers: { 'www-authenticate': 'Bearer realm="curfew"' },
      }),
    )
  })
})

function flawOf(headers: Headers): string | undefined {
  const id = headers['webhook-id']
  if (typeof id !== 'string' || id === '') return 'the header webhook-id is missing'
  const timestamp = headers['webhook-timestamp']
  if (typeof timestamp !== 'string' || !/^\d{1,12}$/.test(timestamp))
    return 'the header webhook-timestamp must be a whole number of seconds since 1970'
  // By the real clock, as the libraries of senders do it; the ledger's own may be another machine's.
  const age = Math.floor(systemClock.now() / 1000) - Number(timestamp)
  if (Math.abs(age) > TOLERANCE_SECONDS) return 'the header webhook-timestamp is more than five minutes off'
  return signaturesIn(headers).length > 0
    ? undefined
    : 'the header webhook-signature must be v1, and an HMAC-SHA256 in base64'
}

/** None where the header came twice: Node joins the two, and which of them was meant nobody knows. */
function signaturesIn(headers: Headers): string[] {
  const text = String(headers['webhook-signature'] ?? '')
  return text.includes(', ') ? [] : text.split(' ').filter((one) => SIGNATURE.test(one))
}
