import { Counter, Histogram, type Registry } from 'prom-client'
import type { CallMade } from '../digital-samba/client.ts'
import { CallTimeoutError } from '../digital-samba/errors.ts'
import { FAILURES, OUTCOMES } from '../ending.ts'
import { handlers, knownName } from '../events/registry.ts'
import type { EndingRow } from '../storage/schema.ts'
import { counterOf, histogramOf } from './children.ts'
import { Names, OTHER } from './names.ts'

// From what is hardly to be measured to what everybody in the room has noticed.
const LATENESS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]
const RESULTS = [...OUTCOMES, ...FAILURES, 'cancelled']
// What an alert asks the increase of has to be there before it happens for the first time.
const TOLD_OF = ['200', '401', '429', 'timeout', 'network']
const TRIED = ['told', 'retry', 'failed']
const METHODS = new Names(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
/** the route of a path that is none */
export const NO_ROUTE = 'unknown'

/** What has happened in this process since it started. No label has a value that a caller could choose. */
export class Counts {
  readonly #callers: Names
  readonly #accepted
  readonly #finished
  readonly #calls
  readonly #events
  readonly #notifications
  readonly #unauthorized: Counter
  readonly #lateness: Histogram
  readonly #callSeconds
  readonly #requests: Histogram

  /** `callers`: the names in the configuration. */
  constructor(registry: Registry, callers: Iterable<string>) {
    const counter = (name: string, help: string, labelNames: string[] = []) =>
      new Counter({ name, help, labelNames, registers: [registry] })
    const histogram = (name: string, help: string, labelNames: string[] = [], buckets?: number[]) =>
      new Histogram({ name, help, labelNames, ...(buckets ? { buckets } : {}), registers: [registry] })
    this.#callers = new Names(callers)
    this.#accepted = counterOf(
      counter('curfew_endings_accepted_total', 'Endings that were stored, by whose they are.', [
        'requested_by',
      ]),
    )
    this.#finished = counterOf(
      counter('curfew_endings_finished_total', 'Endings that are over: how, or why not.', [
        'requested_by',
        'result',
      ]),
    )
    this.#calls = counterOf(
      counter('curfew_calls_total', 'Calls to Digital Samba, by what was answered.', ['operation', 'status']),
    )
    this.#events = counterOf(
      counter('curfew_events_total', 'Events that were taken in, by what became of them.', [
        'type',
        'status',
      ]),
    )
    this.#notifications = counterOf(
      counter('curfew_notifications_total', 'Tries to tell callers of their endings, by what came of them.', [
        'result',
      ]),
    )
    this.#unauthorized = counter(
      'curfew_unauthorized_total',
      'Requests refused for their key, secret or signature.',
    )
    this.#lateness = histogram(
      'curfew_ending_lateness_seconds',
      'From the due time of an ending (from when it was asked for, if that was later) to its first call.',
      [],
      LATENESS_SECONDS,
    )
    this.#callSeconds = histogramOf(
      histogram('curfew_call_duration_seconds', 'How long calls to Digital Samba took.', ['operation']),
    )
    this.#requests = histogram('http_request_duration_seconds', 'How long requests took.', [
      'method',
      'route',
      'status_code',
    ])
    this.#beginAtZero()
  }

  #beginAtZero(): void {
    for (const caller of this.#callers.all) {
      this.#accepted.of(caller).inc(0)
      for (const result of RESULTS) this.#finished.of(caller, result).inc(0)
    }
    for (const result of TRIED) this.#notifications.of(result).inc(0)
    for (const status of TOLD_OF) this.#calls.of('end', status).inc(0)
    for (const type of [...handlers.keys(), OTHER])
      this.#events.of(type, type === OTHER ? 'ignored' : 'accepted').inc(0)
    this.#requests.zero({ method: 'GET', route: '/readyz', status_code: '503' })
  }

  stored({ requested_by }: EndingRow): void {
    this.#accepted.of(this.#callers.of(requested_by)).inc()
  }

  finished({ requested_by, state, outcome, failure }: EndingRow): void {
    this.#finished.of(this.#callers.of(requested_by), outcome ?? failure ?? state).inc()
  }

  called({ operation, status, durationMs, error }: CallMade): void {
    const unanswered = error instanceof CallTimeoutError ? 'timeout' : 'network'
    this.#calls.of(operation, status === null ? unanswered : String(status)).inc()
    this.#callSeconds.of(operation).observe(Math.max(durationMs, 0) / 1000)
  }

  firstCalled(latenessMs: number): void {
    this.#lateness.observe(Math.max(latenessMs, 0) / 1000)
  }

  eventTaken(type: string, status: string): void {
    this.#events.of(knownName(type) ?? OTHER, status).inc()
  }

  notified(result: string): void {
    this.#notifications.of(result).inc()
  }

  unauthorized(): void {
    this.#unauthorized.inc()
  }

  /** What measures the requests of one route (its pattern): method, status and how long it took (ms). */
  requestsOf(route: string): (method: string, status: number, ms: number) => void {
    const byMethod = new Map<string, Map<number, Histogram.Internal<string>>>()
    return (method, status, ms) => {
      const name = METHODS.of(method)
      const byStatus = byMethod.get(name) ?? new Map()
      if (byStatus.size === 0) byMethod.set(name, byStatus)
      let child = byStatus.get(status)
      if (!child) {
        child = this.#requests.labels(name, route, String(status))
        byStatus.set(status, child)
      }
      child.observe(ms / 1000)
    }
  }
}
