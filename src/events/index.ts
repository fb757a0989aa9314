import type { Mistake } from '../problem.ts'
import { checker, MOST_MISTAKES } from '../validation.ts'
import { readEnvelope } from './envelope.ts'
import type { KnownEvent } from './fold.ts'
import type { AnyHandler, Event, Setting } from './handler.ts'
import { handlerOf, handlers } from './registry.ts'

export type Translation =
  | { kind: 'known'; event: KnownEvent; targets: number }
  | { kind: 'unknown'; id: string; type: string; detail: string }
  | { kind: 'mistaken'; mistakes: Mistake[] }

/** What an event as it came asks for. Pointers of mistakes begin within the event (`/time`, `/data/endsAt`). */
export function translate(raw: unknown, setting: Setting): Translation {
  const read = readEnvelope(raw, setting.now)
  if ('mistakes' in read) return { kind: 'mistaken', mistakes: read.mistakes }
  const { event } = read
  const handler = handlerOf(event.type)
  if (!handler) return { kind: 'unknown', id: event.id, type: event.type, detail: knownBeside(event.type) }
  const mistakes = dataMistakes(handler, event, setting)
  if (mistakes.length > 0) return { kind: 'mistaken', mistakes }
  const { targets, subject, precedence = 0 } = handler
  const known = { ...event, subject: subject?.(event.data), precedence, setting }
  return { kind: 'known', event: known, targets: targets?.(event.data) ?? 1 }
}

// Somebody who meant one of ours has missed it by a few letters.
const NEAR = 4

/** What would have been known, and what was probably meant. */
function knownBeside(type: string): string {
  const name = type.slice(0, 200).split('.').slice(-2).join('.').toLowerCase()
  const known = [...handlers.keys()]
  const nearest = known
    .map((other) => ({ other, distance: distance(name, other) }))
    .filter(({ distance }) => distance <= NEAR)
    .sort((a, b) => a.distance - b.distance)[0]?.other
  const sorted = nearest === undefined ? known : [nearest, ...known.filter((other) => other !== nearest)]
  return `${nearest === undefined ? '' : `perhaps ${nearest} is meant; `}known are ${sorted.join(', ')}`
}

/** How many letters have to be put in, left out or changed to make one of the other (Levenshtein). */
function distance(one: string, other: string): number {
  if (Math.abs(one.length - other.length) > NEAR) return Number.POSITIVE_INFINITY
  let row = Array.from({ length: other.length + 1 }, (_, i) => i)
  for (const [i, letter] of [...one].entries()) {
    const next = [i + 1]
    for (let j = 1; j <= other.length; j += 1) {
      const changed = (row[j - 1] as number) + (letter === other[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, changed))
    }
    row = next
  }
  return row.at(-1) as number
}

interface Checked {
  maxTargets: number
  check: (data: unknown) => Mistake[]
}
const checks = new WeakMap<AnyHandler, Checked>()

function checkOf(handler: AnyHandler, { maxTargets }: Setting): Checked['check'] {
  const known = checks.get(handler)
  if (known?.maxTargets === maxTargets) return known.check
  const { schema } = handler
  const check = checker(typeof schema === 'function' ? schema(maxTargets) : schema)
  checks.set(handler, { maxTargets, check })
  return check
}

function dataMistakes(handler: AnyHandler, { data }: Event, setting: Setting): Mistake[] {
  const found = checkOf(handler, setting)(data ?? null)
  const mistakes = found.length > 0 ? found : (handler.mistakes?.(data, setting) ?? [])
  return mistakes
    .slice(0, MOST_MISTAKES)
    .map(({ pointer, detail }) => ({ pointer: `/data${pointer}`, detail }))
}
