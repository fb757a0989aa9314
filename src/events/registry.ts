import { billing } from './billing.ts'
import { booking } from './booking.ts'
import type { AnyHandler } from './handler.ts'
import { timeLimit } from './time-limit.ts'

/** Every type of event that is known, without prefix. A new family is a file of its own and a line here. */
export const handlers = new Map<string, AnyHandler>(
  Object.entries({
    ...booking,
    ...billing,
    ...timeLimit,
  }),
)

export function handlerOf(type: string): AnyHandler | undefined {
  return handlers.get(knownName(type) ?? '')
}

/** A known type without its prefix: com.example.booking.cancelled is booking.cancelled. */
export function knownName(type: string): string | undefined {
  if (handlers.has(type)) return type
  const name = /^(?:[a-zA-Z0-9_-]+\.)*?([a-z_]+\.[a-z_]+)$/.exec(type)?.[1]
  return name !== undefined && handlers.has(name) ? name : undefined
}
