import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { NotificationStore } from '../storage/notifications/notification-store.ts'
import type { NotificationRow } from '../storage/schema.ts'
import { Deliverer } from '../worker/delivery.ts'
import { Notifier } from '../worker/notifier.ts'

declare module 'fastify' {
  interface FastifyInstance {
    notifications: NotificationStore
  }
}

interface NotificationOptions {
  config: Config
  /** what a receiver is told, as JSON */
  bodyOf: (app: FastifyInstance, notification: NotificationRow) => Promise<string>
}

/** Tells callers what became of their endings, from when the service is ready until it stops. */
export default fp<NotificationOptions>(async function notifications(app, { config, bodyOf }) {
  const { ledger } = app
  const store = new NotificationStore(ledger)
  app.decorate('notifications', store)
  const { receivers } = config
  if (receivers.length === 0) return
  await store.prepare(receivers.map(({ caller }) => caller))
  const deliverer = new Deliverer(ledger.clock)
  const options = {
    ledger,
    notifications: store,
    deliverer,
    log: app.log as Logger,
    bodyOf: (notification: NotificationRow) => bodyOf(app, notification),
    onTried: (state: string) => app.notices.notified(state === 'pending' ? 'retry' : state),
  }
  const notifiers = receivers.map((receiver) => new Notifier(receiver, options))
  app.addHook('onReady', async () => {
    for (const notifier of notifiers) notifier.start()
  })
  // What ends while the worker finishes is written down already, and told by whoever comes next.
  app.addHook('preClose', async () => {
    await Promise.all(notifiers.map((notifier) => notifier.stop(config.shutdownGraceMs)))
  })
  app.addHook('onClose', async () => deliverer.close())
})
