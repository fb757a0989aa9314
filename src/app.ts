import { type FastifyInstance, type FastifyServerOptions, LogController } from 'fastify'
import type { Logger } from 'pino'
import { type Clock, systemClock } from './clock.ts'
import type { Config } from './config/config.ts'
import auth from './plugins/auth.ts'
import bounds from './plugins/bounds.ts'
import connections from './plugins/connections.ts'
import errors, { onClientError, sendError } from './plugins/errors.ts'
import json from './plugins/json.ts'
import methods from './plugins/methods.ts'
import metrics from './plugins/metrics.ts'
import notices from './plugins/notices.ts'
import tellCallers from './plugins/notifications.ts'
import readiness from './plugins/readiness.ts'
import rehearsal from './plugins/rehearsal.ts'
import requests, { requestId } from './plugins/requests.ts'
import routeList from './plugins/route-list.ts'
import { schemaController } from './plugins/schemas.ts'
import senders from './plugins/senders.ts'
import storage from './plugins/storage.ts'
import limits from './plugins/time-limits.ts'
import waiting from './plugins/waiting.ts'
import worker from './plugins/worker.ts'
import { brake } from './routes/brake.ts'
import { consolePage } from './routes/console.ts'
import { endings } from './routes/endings.ts'
import { events } from './routes/events.ts'
import { many } from './routes/many.ts'
import { metrics as metricsRoute } from './routes/metrics.ts'
import { notificationBody } from './routes/notification-view.ts'
import { notifications } from './routes/notifications.ts'
import { openapi } from './routes/openapi.ts'
import { sessions } from './routes/sessions.ts'
import { statistics } from './routes/statistics.ts'
import { health, status } from './routes/status.ts'
import { timeLimits } from './routes/time-limits.ts'
import { webhooks } from './routes/webhooks.ts'

/** How the Fastify instance has to be made for `curfew` to be registered on it. */
export function serverOptions(log: Logger) {
  return {
    loggerInstance: log,
    // One line of our own for each request, with our names (plugins/requests.ts).
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: requestId,
    bodyLimit: 64 * 1024,
    schemaController,
    routerOptions: { maxParamLength: 2048 },
    frameworkErrors: sendError,
    clientErrorHandler: onClientError,
    // A request must arrive within this; slow senders would otherwise hold connections for ever.
    requestTimeout: 30_000,
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 2000 },
    // Longer than load balancers keep theirs, so that it is they who close them.
    keepAliveTimeout: 72_000,
    return503OnClosing: false,
    // PostgreSQL is waited for as long as the configuration says.
    pluginTimeout: 0,
  } satisfies FastifyServerOptions & Record<string, unknown>
}

/** The composition root: what the service is made of, in the order in which it needs each other. */
export async function curfew(
  app: FastifyInstance,
  { config, clock = systemClock }: { config: Config; clock?: Clock },
): Promise<void> {
  await app.register(connections, config)
  await app.register(methods)
  await app.register(routeList)
  await app.register(errors)
  await app.register(requests)
  await app.register(json)
  await app.register(bounds, { requestsPerMinute: config.requestsPerMinute, clock })
  await app.register(auth, config)
  await app.register(senders, config)
  await app.register(notices)
  await app.register(storage, { config, clock })
  await app.register(waiting)
  await app.register(worker, { config })
  await app.register(limits, { config })
  await app.register(rehearsal, { config })
  await app.register(tellCallers, { config, bodyOf: notificationBody })
  await app.register(readiness)
  await app.register(metrics, { config })

  await app.register(health)
  await app.register(status)
  await app.register(metricsRoute)
  await app.register(endings)
  await app.register(many)
  await app.register(brake)
  await app.register(events, { config })
  await app.register(webhooks)
  await app.register(timeLimits)
  await app.register(sessions)
  await app.register(notifications)
  await app.register(statistics)
  await app.register(openapi)
  await app.register(consolePage)
  app.refuseOtherMethods()
}
