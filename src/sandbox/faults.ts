import type { Call, Operation } from './calls.ts'

export const FAULT_KINDS = [
  'status',
  'delay',
  'reset',
  'hang',
  'truncate',
  'html',
  'redirect',
  'huge',
  'not-json',
] as const

/** What goes wrong, and with which calls. Whatever is left out matches every call. */
export interface Fault {
  kind: (typeof FAULT_KINDS)[number]
  operation?: Operation
  session?: string
  /** Id or friendly URL. */
  room?: string
  method?: string
  /** How many calls it meets: 1 if not given; Infinity is fine. */
  times?: number
  status?: number
  headers?: Record<string, string>
  body?: unknown
  /** How long the answer is held back, whatever the kind. */
  delayMs?: number
  /** The operation is carried out at once, and only its answer is lost, wrong or late. */
  carryOut?: boolean
}

export class Faults {
  #queue: { fault: Fault; left: number }[] = []

  inject(fault: Fault): void {
    this.#queue.push({ fault: { ...fault }, left: fault.times ?? 1 })
  }

  clear(): void {
    this.#queue = []
  }

  /** The first that matches, used up by one. `rooms`: all names of the room that the call is about. */
  take(call: Call, rooms: readonly string[]): Fault | undefined {
    const entry = this.#queue.find(({ fault }) => matches(fault, call, rooms))
    if (!entry) return undefined
    entry.left -= 1
    if (entry.left <= 0) this.#queue.splice(this.#queue.indexOf(entry), 1)
    return entry.fault
  }
}

function matches(fault: Fault, call: Call, rooms: readonly string[]): boolean {
  return (
    (fault.operation === undefined || fault.operation === call.operation) &&
    (fault.session === undefined || fault.session === call.session) &&
    (fault.room === undefined || rooms.includes(fault.room)) &&
    (fault.method === undefined || fault.method.toUpperCase() === call.method)
  )
}
