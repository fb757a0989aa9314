import type { RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { Registry } from 'prom-client'
import type { Config } from '../config/config.ts'
import { Counts, NO_ROUTE } from '../metrics/counts.ts'
import { Gauges, type Now } from '../metrics/gauges.ts'
import { processMetrics } from '../metrics/process.ts'
import type { ReceiverRow } from '../storage/schema.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Everything that is measured, as Prometheus reads it. */
    metrics: () => Promise<{ contentType: string; text: string }>
  }
}

// Anybody may ask, so one look into the ledger a second answers everybody; and who asks does not wait for a database
// that hangs.
const FRESH_FOR_MS = 1000
const PATIENCE_MS = 1000

/** What only the database knows. */
type Looked = Omit<Now, 'callsState' | 'sweepAgeMs'>

/** Counts what happens, and tells it to whoever scrapes /metrics. A registry for each service, as a process may have several. */
export default fp<{ config: Config }>(async function metrics(app, { config }) {
  const { ledger, notices } = app
  const { clock } = ledger
  const registry = new Registry()
  const callers = [...config.keys, ...config.eventSecrets].map(({ name }) => name)
  const counts = new Counts(registry, [...callers, 'curfew'])
  const gauges = new Gauges(
    registry,
    config.receivers.map(({ caller }) => caller),
  )

  ledger.news.onStored((ending) => counts.stored(ending))
  ledger.news.onFinished((ending, isNew) => isNew && counts.finished(ending))
  notices.onCalled((call) => counts.called(call))
  notices.onFirstCalled((latenessMs) => counts.firstCalled(latenessMs))
  notices.onNotified((result) => counts.notified(result))
  notices.onEventTaken((type, status) => counts.eventTaken(type, status))

  app.addHook('onRoute', (route: RouteOptions) => {
    const measure = counts.requestsOf(route.url)
    const others = [route.onResponse ?? []].flat()
    route.onResponse = [
      ...others,
      (request, reply, done) => {
        measure(request.method, reply.statusCode, reply.elapsedTime)
        if (reply.statusCode === 401) counts.unauthorized()
        done()
      },
    ]
  })
  const measureUnknown = counts.requestsOf(NO_ROUTE)
  app.addHook('onResponse', (request, reply, done) => {
    if (request.is404) measureUnknown(request.method, reply.statusCode, reply.elapsedTime)
    done()
  })

  app.decorate('metrics', async () => {
    const looked = (await soon(lookedUp())) ?? NOTHING
    const { sweptAt } = app.sweeper
    gauges.set({
      ...looked,
      callsState: app.gate.status().state,
      sweepAgeMs: sweptAt === undefined ? undefined : Math.max(clock.now() - sweptAt, 0),
    })
    return {
      contentType: registry.contentType,
      text: `${await registry.metrics()}\n${await processMetrics()}`,
    }
  })

  let latest: { at: number; isOver: boolean; answer: Promise<Looked> } | undefined
  function lookedUp(): Promise<Looked> {
    const now = clock.now()
    const isFresh = latest && (!latest.isOver || Math.abs(now - latest.at) < FRESH_FOR_MS)
    if (latest && isFresh) return latest.answer
    const asked = { at: now, isOver: false, answer: look() }
    void asked.answer.finally(() => {
      asked.isOver = true
    })
    latest = asked
    return asked.answer
  }

  /** Each by itself: what can be known is told. Never rejects. */
  async function look(): Promise<Looked> {
    const at = clock.now()
    const orNothing = (error: unknown) => void app.log.warn({ err: error }, 'metrics.not_read')
    const [backlog, budgetLeft, told, failing] = await Promise.all([
      ledger.backlog().catch(orNothing),
      app.gate.budgetLeft().catch(orNothing),
      app.notifications.counts().catch(orNothing),
      app.notifications.failing().catch(orNothing),
    ])
    const others = {
      budgetLeft: budgetLeft ?? undefined,
      notificationsPending: told ? told.pending : undefined,
      notificationsFailingMs: failing
        ? new Map(failing.map((one) => [one.caller, failingMs(one, at)]))
        : undefined,
    }
    if (!backlog) return { ...NOTHING, ...others }
    const { pending, overdue, oldestOverdue } = backlog
    const oldestOverdueMs = oldestOverdue === undefined ? 0 : Math.max(at - oldestOverdue, 0)
    return { pending, overdue, oldestOverdueMs, ...others }
  }

  async function soon<T>(answer: Promise<T>): Promise<T | undefined> {
    const over = new AbortController()
    const tooLate = clock.sleep(PATIENCE_MS, over.signal).then(() => undefined)
    return Promise.race([answer, tooLate]).finally(() => over.abort())
  }
})

function failingMs({ failing_since }: ReceiverRow, now: number): number {
  return Math.max(now - (failing_since ?? now), 0)
}

const NOTHING: Looked = {
  pending: undefined,
  overdue: undefined,
  oldestOverdueMs: undefined,
  budgetLeft: undefined,
  notificationsPending: undefined,
  notificationsFailingMs: undefined,
}
