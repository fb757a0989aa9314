import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import type { EndingRow } from '../../src/storage/schema.ts'

/** What somebody asked for, and what was answered: no id where it was not accepted, or nobody knows. */
export interface Asked {
  session: string
  id: string | undefined
  status: number
  /** when its cancellation was answered 200 (epoch ms) */
  cancelledAt?: number
  /** nothing came back: it may have been cancelled or not */
  mayBeCancelled?: boolean
}

export interface Findings {
  /** what must not be; nothing */
  faults: string[]
  calls: number
  calledTwice: number
  most429: number
}

const WINDOW_MS = 61_000
// What was on its way when the 429 was answered still arrives.
const ON_ITS_WAY_MS = 1500

/** Accepted means done; nothing without a cause; never more calls than the budget; no call after a pause began. */
export function check({
  asked,
  bystanders,
  rows,
  sandbox,
  perWindow,
}: {
  asked: Asked[]
  bystanders: string[]
  rows: Map<string, EndingRow>
  sandbox: Sandbox
  perWindow: number
}): Findings {
  const faults: string[] = []
  const ends = sandbox.calls.filter(({ operation }) => operation === 'end')
  const called = new Map<string, number[]>()
  for (const { session, at } of ends)
    called.set(session as string, [...(called.get(session as string) ?? []), at])
  for (const one of asked) faults.push(...faultsOf(one, rows, sandbox, called.get(one.session) ?? []))
  for (const session of bystanders) {
    if (called.has(session)) faults.push(`bystander ${session} got an end call`)
    if (!sandbox.session(session)?.live) faults.push(`bystander ${session} is over`)
  }
  const wanted = new Set(asked.map(({ session }) => session))
  for (const session of called.keys()) if (!wanted.has(session)) faults.push(`nobody asked for ${session}`)
  faults.push(...overBudget(sandbox, perWindow), ...duringPauses(sandbox))
  const calledTwice = [...called.values()].filter(({ length }) => length > 1).length
  const most429 = sandbox.calls.filter(({ status }) => status === 429).length
  return { faults, calls: sandbox.calls.length, calledTwice, most429 }
}

function faultsOf(one: Asked, rows: Map<string, EndingRow>, sandbox: Sandbox, calls: number[]): string[] {
  if (!one.id) return []
  const row = rows.get(one.id)
  if (!row) return [`${one.id} was accepted and is not in the ledger`]
  const isLive = sandbox.session(one.session)?.live === true
  if (one.cancelledAt !== undefined) {
    const late = calls.some((at) => at > (one.cancelledAt as number))
    if (row.state !== 'cancelled') return [`${one.id} was cancelled and is ${row.state}`]
    return late ? [`${one.id} was called after it was cancelled`] : []
  }
  if (row.state === 'cancelled') return one.mayBeCancelled ? [] : [`${one.id} is cancelled, and nobody asked`]
  if (row.state !== 'ended') return [`${one.id} is ${row.state} (${row.failure ?? row.last_error})`]
  return isLive ? [`${one.id} has ended and its session ${one.session} is live`] : []
}

function overBudget({ calls }: Sandbox, perWindow: number): string[] {
  const times = calls.map(({ at }) => at).sort((a, b) => a - b)
  for (let first = 0; first + perWindow < times.length; first += 1) {
    const last = times[first + Math.floor(perWindow)] as number
    if (last < (times[first] as number) + WINDOW_MS) return [`more than ${perWindow} calls within 61 s`]
  }
  return []
}

function duringPauses({ calls }: Sandbox): string[] {
  const faults: string[] = []
  for (const { at, status } of calls) {
    if (status !== 429) continue
    const during = calls.filter((call) => call.at > at + ON_ITS_WAY_MS && call.at < at + 2000 - 200)
    if (during.length > 0) faults.push(`${during.length} calls while a 429 held all`)
  }
  return faults
}
