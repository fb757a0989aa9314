import { setTimeout as pause } from 'node:timers/promises'
import { systemClock } from '../src/clock.ts'
import { openDatabase } from '../src/storage/engine/database.ts'
import { Ledger } from '../src/storage/ledger.ts'
import { instruction } from '../test/helper/instructions.ts'
import { median, type Row, residentMb } from './measure.ts'
import { startMeasured } from './process.ts'

const STARTS = 5
const PENDING = 100_000

/** Start to ready, and memory: idle, and with 100,000 endings pending. */
export async function footprint(env: Record<string, string>): Promise<Row[]> {
  const starts: number[] = []
  let idle = 0
  for (let i = 0; i < STARTS; i += 1) {
    const began = performance.now()
    const curfew = await startMeasured(env)
    starts.push(performance.now() - began)
    if (i === STARTS - 1) idle = await memory(curfew.pid)
    await curfew.end('SIGTERM')
  }
  await fill(env.DATABASE_URL as string)
  const curfew = await startMeasured(env)
  const full = await memory(curfew.pid)
  await curfew.end('SIGTERM')
  return [
    ['start to ready (median of 5)', `${Math.round(median(starts))} ms`, '1000 ms'],
    ['resident memory, idle', `${idle} MB`, '120 MB'],
    [`resident memory, ${PENDING} pending`, `${full} MB`, ''],
  ]
}

async function memory(pid: number): Promise<number> {
  await pause(2000)
  return residentMb(pid)
}

async function fill(url: string): Promise<void> {
  const database = await openDatabase({ url, clock: systemClock })
  const ledger = new Ledger(database)
  const dueAt = systemClock.now() + 86_400_000
  for (let i = 0; i < PENDING; i += 1000)
    await Promise.all(
      Array.from({ length: 1000 }, (_, j) => ledger.store(instruction({ dueAt: dueAt + i + j }))),
    )
  await database.close()
}
