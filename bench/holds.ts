import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../src/clock.ts'
import { translate } from '../src/events/index.ts'
import { openDatabase } from '../src/storage/engine/database.ts'
import { newId } from '../src/storage/engine/ids.ts'
import { Ledger } from '../src/storage/ledger.ts'
import { TimeLimitStore } from '../src/storage/time-limits/time-limit-store.ts'
import { createDatabase, startPostgres } from '../test/helper/postgres.ts'

/**
 * `node bench/holds.ts [engine]`: what a sender with 10,000 rooms kept closed costs: 1000 events of its, and a page of a
 * sweep; how long they take, and the longest that they held the event loop.
 */
const HOLDS = 10_000
const HOUR = 3_600_000
const engine = process.argv[2] === 'postgres' ? 'postgres' : 'sqlite'
const folder = mkdtempSync(join(tmpdir(), 'curfew-holds-'))
const postgres = engine === 'postgres' ? await startPostgres({ durable: true }) : undefined
const url = postgres ? (await createDatabase(postgres.url)).url : `file:${join(folder, 'curfew.db')}`
const database = await openDatabase({ url, clock: systemClock })
const ledger = new Ledger(database)
const limits = new TimeLimitStore(ledger, database, undefined)
let longest = 0
let last = performance.now()
const tick = () => {
  const now = performance.now()
  longest = Math.max(longest, now - last)
  last = now
  setImmediate(tick)
}
tick()

let events = 0
function event(type: string, data: object) {
  events += 1
  const raw = { specversion: '1.0', id: `e${events}`, source: '/bench', type, data }
  const setting = { sender: 'bench', now: Date.now(), bookingGraceMs: 0, maxTargets: 200 }
  const translation = translate(raw, setting)
  if (translation.kind !== 'known') throw new Error(JSON.stringify(translation))
  return translation.event
}

const at = (ms: number) => new Date(Date.now() + ms).toISOString()
async function measure(what: string, work: () => Promise<unknown>): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 50))
  longest = 0
  last = performance.now()
  const began = performance.now()
  await work()
  const took = Math.round(performance.now() - began)
  process.stdout.write(
    `${engine}, ${what}: ${took} ms; the event loop was held ${longest.toFixed(1)} ms at most\n`,
  )
}

for (const holds of [0, HOLDS]) {
  const now = Date.now()
  for (let done = 0; done < holds; done += 500)
    await database.db
      .insertInto('holds')
      .values(
        Array.from({ length: 500 }, (_, i) => ({
          id: newId(now),
          room_kind: 'room' as const,
          room: `held-${done + i}`,
          by_id: 0,
          from_at: now,
          until_at: now + HOUR,
          requested_by: 'bench',
          reason: 'bench',
          subject: `booking:held-${done + i}`,
          ending_id: null,
          created_at: now,
          lifted_at: null,
          lifted_by: null,
        })),
      )
      .execute()
  for (let round = 0; round < 3; round += 1) {
    const ids = Array.from({ length: 1000 }, (_, i) => `b-${holds}-${round}-${i}`)
    const scheduled = ids.map((bookingId) =>
      event('booking.scheduled', {
        bookingId,
        roomId: `${bookingId.slice(-3)}-room`,
        startsAt: at(HOUR),
        endsAt: at(2 * HOUR),
      }),
    )
    await measure(`${holds} holds, 1000 booking.scheduled`, () => ledger.events('bench', scheduled))
    const sessions = Array.from({ length: 100 }, (_, i) => ({
      id: `session-${holds}-${round}-${i}`,
      roomId: `room-${i}`,
      friendlyUrl: `held-${(i * 97) % HOLDS}`,
      externalId: null,
      startedAt: now - 1000,
    }))
    await measure(`${holds} holds, a page of 100 sessions`, () => limits.observe(sessions))
  }
}
await database.close()
await postgres?.stop()
rmSync(folder, { recursive: true, force: true })
process.exit(0)
