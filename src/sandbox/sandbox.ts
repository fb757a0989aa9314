import { type Clock, systemClock } from '../clock.ts'
import { CallLog } from './calls.ts'
import { Faults } from './faults.ts'
import { createHttp } from './http.ts'
import { RateLimit } from './rate-limit.ts'
import { Sandbox } from './running-sandbox.ts'
import { endByItself } from './self-ending.ts'
import { defaultSettings } from './settings.ts'
import type { State } from './state.ts'
import { WebhookDelivery } from './webhook-delivery.ts'
import { Webhooks } from './webhooks.ts'
import { World } from './world.ts'

export type { Call } from './calls.ts'
export type { NewRoom, Room, Session } from './entities.ts'
export type { Fault } from './faults.ts'
export type { Sandbox } from './running-sandbox.ts'
export type { WebhookFields } from './webhooks.ts'

export interface SandboxOptions {
  clock?: Clock
  host?: string
  /** 0, the default: any free one. */
  port?: number
  teamId?: string
  developerKey?: string
  callsPerMinute?: number
}

/** Starts a stand-in for Digital Samba on a port of its own. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const closing = new AbortController()
  const state = createState(options, closing.signal)
  endByItself(state.world, state.clock, state.closing)
  const delivery = new WebhookDelivery({ ...state, settings: state.settings.webhooks })
  const http = createHttp(state)
  const url = await http.listen({ host: options.host ?? '127.0.0.1', port: options.port ?? 0 })
  return new Sandbox({ url, state, delivery, http, closing })
}

function createState(options: SandboxOptions, closing: AbortSignal): State {
  const clock = options.clock ?? systemClock
  const now = () => clock.now()
  const settings = defaultSettings()
  settings.credentials.teamId = options.teamId ?? settings.credentials.teamId
  settings.credentials.developerKey = options.developerKey ?? settings.credentials.developerKey
  settings.callsPerMinute = options.callsPerMinute ?? settings.callsPerMinute
  return {
    clock,
    world: new World(now),
    settings,
    rateLimit: new RateLimit(),
    faults: new Faults(),
    calls: new CallLog(),
    webhooks: new Webhooks(now),
    closing,
  }
}
