import type { Operation } from './operation.ts'

const header = (name: string, description: string) =>
  ({ type: 'apiKey', in: 'header', name, description }) as const

/** How callers prove who they are. */
export const SECURITY = {
  key: { type: 'http', scheme: 'bearer', description: 'A key of API_KEYS or OPERATOR_KEYS.' } as const,
  webhookId: header('webhook-id', 'Standard Webhooks: the id of the message.'),
  webhookTimestamp: header(
    'webhook-timestamp',
    'Standard Webhooks: when it was signed, in seconds since 1970; at most five minutes off.',
  ),
  webhookSignature: header(
    'webhook-signature',
    'Standard Webhooks: `v1,` and the HMAC-SHA256 of id, timestamp and body with a secret of EVENT_SECRETS.',
  ),
  digitalSamba: header(
    'Authorization',
    "Digital Samba's `authorization_header`, as DIGITAL_SAMBA_WEBHOOK_SECRET has it.",
  ),
}

type Requirement = Partial<Record<keyof typeof SECURITY, string[]>>

/** Each of the list is enough. */
export function securityOf({ open }: Operation): Requirement[] {
  if (open === 'to-all') return []
  if (open === 'to-digital-samba') return [{ digitalSamba: [] }]
  const byKey = { key: [] }
  const bySignature = { webhookId: [], webhookTimestamp: [], webhookSignature: [] }
  return open === 'to-signers' ? [byKey, bySignature] : [byKey]
}
