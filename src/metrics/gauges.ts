import { Gauge, type Registry } from 'prom-client'
import type { CallsStatus } from '../calls/gate.ts'

/** What is now; undefined for what is not known, and is then left out of the answer. Times are ms. */
export interface Now {
  pending: number | undefined
  overdue: number | undefined
  /** 0 where nothing is overdue */
  oldestOverdueMs: number | undefined
  budgetLeft: number | undefined
  callsState: CallsStatus['state']
  /** undefined as well where there is nothing to sweep for */
  sweepAgeMs: number | undefined
  notificationsPending: number | undefined
  /** Callers of whom every try has failed for a while, and for how long; all others are at 0. */
  notificationsFailingMs: Map<string, number> | undefined
}

const STATES: Array<CallsStatus['state']> = ['ok', 'paused', 'rate_limited', 'refused', 'failing']

/** What is looked up when somebody asks for it. */
export class Gauges {
  readonly #pending: Gauge
  readonly #overdue: Gauge
  readonly #oldestOverdue: Gauge
  readonly #budgetLeft: Gauge
  readonly #callsState: Gauge
  readonly #sweepAge: Gauge
  readonly #notificationsPending: Gauge
  readonly #notificationsFailing: Gauge
  readonly #told: string[]

  /** `told`: the callers that are told of their endings. */
  constructor(registry: Registry, told: string[]) {
    this.#told = told
    const gauge = (name: string, help: string, labelNames: string[] = []) =>
      new Gauge({ name, help, labelNames, registers: [registry] })
    this.#pending = gauge('curfew_endings_pending', 'Endings that wait, in the whole ledger.')
    this.#overdue = gauge('curfew_endings_overdue', 'Those of them that are past their due time.')
    this.#oldestOverdue = gauge(
      'curfew_oldest_overdue_seconds',
      'How long the first of those is past it; 0 where there is none.',
    )
    this.#budgetLeft = gauge('curfew_budget_left', 'Calls that could leave now, by all replicas together.')
    this.#callsState = gauge('curfew_calls_state', '1 for the state that calls are in, as in /status.', [
      'state',
    ])
    this.#sweepAge = gauge(
      'curfew_sweep_age_seconds',
      'Since this process last went through all live sessions; absent without rules and holds.',
    )

    this.#notificationsPending = gauge(
      'curfew_notifications_pending',
      'What callers have not been told yet, in the whole ledger.',
    )
    this.#notificationsFailing = gauge(
      'curfew_notifications_failing_seconds',
      'Since when nothing that a caller was to be told has reached it; 0 where the last try did.',
      ['requested_by'],
    )
  }

  set(now: Now): void {
    put(this.#pending, now.pending)
    put(this.#overdue, now.overdue)
    put(this.#oldestOverdue, seconds(now.oldestOverdueMs))
    put(this.#budgetLeft, now.budgetLeft)
    put(this.#sweepAge, seconds(now.sweepAgeMs))
    put(this.#notificationsPending, now.notificationsPending)
    this.#notificationsFailing.reset()
    if (now.notificationsFailingMs)
      for (const caller of this.#told)
        this.#notificationsFailing.set(
          { requested_by: caller },
          (now.notificationsFailingMs.get(caller) ?? 0) / 1000,
        )
    for (const state of STATES) this.#callsState.set({ state }, state === now.callsState ? 1 : 0)
  }
}

/** A number that is not known any more must not look as if it were. */
function put(gauge: Gauge, value: number | undefined): void {
  if (value === undefined) gauge.remove()
  else gauge.set(value)
}

const seconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000)
