import { CallBudget } from '../../src/calls/budget.ts'
import type { CallLimits, PermitSource } from '../../src/calls/permits.ts'
import { permitCounts } from '../../src/calls/permits.ts'
import type { Clock } from '../../src/clock.ts'
import type { PermitKind } from '../../src/storage/schema.ts'

/** Permits as a ledger keeps them, in memory. */
function permitsInMemory(clock: Clock, limits: CallLimits): PermitSource {
  const counts = permitCounts(limits)
  const freeAt = new Map<PermitKind, number[]>(
    Object.entries(counts).map(([kind, count]) => [kind as PermitKind, Array<number>(count).fill(0)]),
  )
  const rows = (kind: PermitKind) => freeAt.get(kind) as number[]
  return {
    take: async (kind, most, until) => {
      const all = rows(kind)
      const free = [...all.keys()].filter((slot) => (all[slot] as number) <= clock.now())
      const slots = free.sort((a, b) => (all[a] as number) - (all[b] as number)).slice(0, most)
      for (const slot of slots) all[slot] = until
      return { slots, opensAt: slots.length === most ? 0 : Math.min(...all) }
    },
    taken: async (kind, most) => Math.min(rows(kind).filter((at) => at > clock.now()).length, most),
    giveBack: async (kind, slots, until) => {
      for (const slot of slots) if (rows(kind)[slot] === until) rows(kind)[slot] = 0
    },
    settle: async (spent) => {
      for (const { kind, slot, until, freeAt } of spent)
        if (rows(kind)[slot] === until) rows(kind)[slot] = freeAt
    },
    mend: async (latest) => {
      for (const [kind, all] of freeAt)
        freeAt.set(
          kind,
          all.map((at) => Math.min(at, latest)),
        )
    },
  }
}

/** A budget that tells how many permits of any kind it has taken since it was made, and how often it has written. */
export function countedBudget(clock: Clock, limits: CallLimits) {
  const inMemory = permitsInMemory(clock, limits)
  const source = {
    ...inMemory,
    count: 0,
    writes: 0,
    giveBack: async (...given: Parameters<PermitSource['giveBack']>) => {
      source.writes += 1
      await inMemory.giveBack(...given)
    },
    take: async (kind: PermitKind, most: number, until: number) => {
      source.writes += 1
      const taken = await inMemory.take(kind, most, until)
      source.count += taken.slots.length
      return taken
    },
  }
  return { budget: new CallBudget(clock, limits, source), source }
}

export function budgetInMemory(clock: Clock, limits: CallLimits): CallBudget {
  return new CallBudget(clock, limits, permitsInMemory(clock, limits))
}
