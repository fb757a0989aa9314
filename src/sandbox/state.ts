import type { Clock } from '../clock.ts'
import type { CallLog } from './calls.ts'
import type { Faults } from './faults.ts'
import type { RateLimit } from './rate-limit.ts'
import type { Settings } from './settings.ts'
import type { Webhooks } from './webhooks.ts'
import type { World } from './world.ts'

/** All that a sandbox remembers, shared by its routes and its in-process controls. */
export interface State {
  readonly clock: Clock
  readonly world: World
  readonly settings: Settings
  readonly rateLimit: RateLimit
  readonly faults: Faults
  readonly calls: CallLog
  readonly webhooks: Webhooks
  /** Aborts when the sandbox closes. */
  readonly closing: AbortSignal
}
