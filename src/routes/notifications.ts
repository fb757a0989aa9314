import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { notificationType } from '../notification.ts'
import { invalid, Problem } from '../problem.ts'
import type { RetryObstacle } from '../storage/notifications/notification-store.ts'
import type { NotificationFilter } from '../storage/notifications/pages.ts'
import { absentIsEmpty } from './absent-body.ts'
import {
  type Filter,
  NotificationParams,
  NotificationsQuery,
  notificationAnswer,
  notificationsAnswer,
  RetryRequest,
  retriedAnswer,
} from './notification-schemas.ts'
import { notificationView, tryView } from './notification-view.ts'
import { LIMIT, Nothing } from './schemas.ts'

const MOST_IDS = 100
const BEYOND = "only an operator may see or retry another caller's notifications"

/** What callers were told of their endings: their own, operators (and who may only read) all. */
export const notifications: FastifyPluginAsyncTypebox = async (app) => {
  const store = app.notifications
  app.addHook('onRequest', app.authenticate)

  app.route({
    method: 'GET',
    url: '/v1/notifications',
    schema: { querystring: NotificationsQuery, response: notificationsAnswer },
    handler: async (request) => {
      const { limit, cursor, ...filter } = request.query
      const asked = { ...within(request, filter), ...(cursor === undefined ? {} : { before: cursor }) }
      const page = await store.page(asked, Number(limit ?? LIMIT.byDefault))
      return { data: page.notifications.map(notificationView), nextCursor: page.next ?? null }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/notifications/:id',
    schema: { params: NotificationParams, querystring: Nothing, response: notificationAnswer },
    handler: async (request) => {
      const row = await store.find(request.params.id)
      if (!row) throw refusal('not-found')
      if (!mayRead(request, row.caller)) throw refusal('forbidden')
      const tries = await store.tries(row.id)
      return { ...notificationView(row), tries: tries.map(tryView) }
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/notifications/:id/retry',
    schema: { params: NotificationParams, querystring: Nothing, body: Nothing, response: notificationAnswer },
    preValidation: absentIsEmpty,
    handler: async ({ params, caller, log }) => {
      const row = await store.retry(params.id, caller)
      if ('obstacle' in row) throw refusal(row.obstacle)
      log.info({ notification: row.id, ending: row.ending_id, by: caller.name }, 'notification.retried')
      return notificationView(row)
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/notifications/retry',
    schema: { querystring: Nothing, body: RetryRequest, response: retriedAnswer },
    handler: async (request) => {
      const { filter, dryRun = false } = request.body
      if (filter.state === 'told')
        throw invalid('/filter/state', 'must be pending or failed, or absent: what is told is not told again')
      const { matched, changed, isMore } = await store.retryMany(within(request, filter), dryRun)
      const counts = { matched, changed: changed.length }
      if (!dryRun)
        request.log.info(
          { by: request.caller.name, filter, ...counts, more: isMore },
          'notifications.retry_many',
        )
      return {
        ...counts,
        skipped: matched - changed.length,
        notifications: changed.slice(0, MOST_IDS),
        more: isMore,
        dryRun,
      }
    },
  })
}

function mayRead({ caller }: FastifyRequest, owner: string): boolean {
  return caller.operator || caller.readOnly === true || caller.name === owner
}

/** What a filter finds of that which its caller may see. */
function within(request: FastifyRequest, { type, ...filter }: Filter): NotificationFilter {
  const asked = { ...filter, ...(type === undefined ? {} : { type: notificationType(type) }) }
  const { caller } = request
  if (mayRead(request, filter.caller ?? '')) return asked
  if (filter.caller !== undefined) throw refusal('forbidden')
  return { ...asked, caller: caller.name }
}

function refusal(obstacle: RetryObstacle): Problem {
  switch (obstacle) {
    case 'not-found':
      return new Problem('not-found', 'there is no notification with this id')
    case 'forbidden':
      return new Problem('forbidden', BEYOND)
    case 'told':
      return new Problem('already-told', 'it was told already; only what is pending or failed is tried again')
  }
}
