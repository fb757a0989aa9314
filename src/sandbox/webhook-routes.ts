import { type Answer, invalid, noContent, notFound, ok } from './answers.ts'
import type { AddOperation, ApiRequest } from './api-call.ts'
import { parseWebhookPaging } from './page-query.ts'
import type { State } from './state.ts'
import { webhookListItem, webhookView } from './views.ts'
import { parseWebhookFields } from './webhook-fields.ts'
import { EVENT_NAMES, type WebhookFields } from './webhooks.ts'

export function webhookRoutes({ webhooks }: State, add: AddOperation): void {
  add('GET', '/events', 'webhooks', () => ok(EVENT_NAMES))
  add('GET', '/webhooks', 'webhooks', onList)
  add('POST', '/webhooks', 'webhooks', onCreate)
  add('GET', '/webhooks/:webhook', 'webhooks', onRead)
  add('PATCH', '/webhooks/:webhook', 'webhooks', onUpdate)
  add('DELETE', '/webhooks/:webhook', 'webhooks', onDelete)

  function onList({ query }: ApiRequest): Answer {
    const { paging, errors } = parseWebhookPaging(query, (id) => webhooks.get(id))
    if (errors) return invalid(errors)
    const { limit, offset, order, after } = paging
    const all = order === 'asc' ? webhooks.all() : webhooks.all().reverse()
    const from = after ? all.indexOf(after) + 1 : 0
    const page = all.slice(from + offset, from + offset + limit)
    return ok({ data: page.map(webhookListItem), total_count: String(all.length) })
  }

  function onCreate({ body }: ApiRequest): Answer {
    const { fields, errors } = parseWebhookFields(body, false)
    if (Object.keys(errors).length > 0) return invalid(errors)
    return ok(webhookView(webhooks.create(fields as WebhookFields)))
  }

  function onRead({ params }: ApiRequest): Answer {
    const webhook = webhooks.get(params.webhook ?? '')
    return webhook ? ok(webhookView(webhook)) : notFound()
  }

  function onUpdate({ params, body }: ApiRequest): Answer {
    const webhook = webhooks.get(params.webhook ?? '')
    if (!webhook) return notFound()
    const { fields, errors } = parseWebhookFields(body, true)
    if (Object.keys(errors).length > 0) return invalid(errors)
    return ok(webhookView(webhooks.update(webhook, fields)))
  }

  function onDelete({ params }: ApiRequest): Answer {
    return webhooks.delete(params.webhook ?? '') ? noContent : notFound()
  }
}
