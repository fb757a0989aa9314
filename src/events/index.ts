import type { EventMeaning } from '../ending.ts'
import type { Mistake } from '../problem.ts'
import { checker } from '../validation.ts'
import { billing } from './billing.ts'
import { booking } from './booking.ts'
import { readEnvelope } from './envelope.ts'
import type { AnyHandler, Event, Setting } from './handler.ts'
import { timeLimit } from './time-limit.ts'

/** Every type of event that is known, without prefix. A new family is a file of its own and a line here. */
const handlers = new Map<string, AnyHandler>(
  Object.entries({
    ...booking,
    ...billing,
    ...timeLimit,
  }),
)

export type Translation =
  | { kind: 'known'; event: EventMeaning }
  | { kind: 'unknown'; id: string; type: string }
  | { kind: 'mistaken'; mistakes: Mistake[] }

/** What an event as it came asks for. Pointers of mistakes begin within the event (`/time`, `/data/endsAt`). */
export function translate(raw: unknown, setting: Setting): Translation {
  const read = readEnvelope(raw, setting.now)
  if ('mistakes' in read) return { kind: 'mistaken', mistakes: read.mistakes }
  const { event } = read
  const handler = handlerOf(event.type)
  if (!handler) return { kind: 'unknown', id: event.id, type: event.type }
  const mistakes = dataMistakes(handler, event, setting)
  if (mistakes.length > 0) return { kind: 'mistaken', mistakes }
  return { kind: 'known', event: bind(handler, event, setting) }
}

// com.example.booking.cancelled is booking.cancelled.
function handlerOf(type: string): AnyHandler | undefined {
  const name = /^(?:[a-zA-Z0-9_-]+\.)*?([a-z_]+\.[a-z_]+)$/.exec(type)?.[1]
  return handlers.get(type) ?? (name === undefined ? undefined : handlers.get(name))
}

const checks = new WeakMap<AnyHandler, (data: unknown) => Mistake[]>()

function dataMistakes(handler: AnyHandler, { data }: Event, setting: Setting): Mistake[] {
  const check = checks.get(handler) ?? checker(handler.schema)
  checks.set(handler, check)
  const found = check(data ?? null)
  const mistakes = found.length > 0 ? found : (handler.mistakes?.(data, setting) ?? [])
  return mistakes.map(({ pointer, detail }) => ({ pointer: `/data${pointer}`, detail }))
}

function bind(handler: AnyHandler, event: Event, setting: Setting): EventMeaning {
  const { source, id, type, time, data } = event
  return {
    source,
    id,
    type,
    time,
    subject: handler.subject?.(data),
    precedence: handler.precedence ?? 0,
    learn: (before, newest) => handler.learn(before, event, newest, setting),
    decide: (memory) => handler.decide(memory, setting),
    mattersUntil: (memory) => handler.mattersUntil?.(memory) ?? 0,
    booked: (memory) => handler.booked?.(memory, setting),
  }
}
