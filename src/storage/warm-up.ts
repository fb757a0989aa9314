import { randomUUID } from 'node:crypto'
import { CURFEW } from './endings/change-log.ts'
import { claimEndings } from './endings/claims.ts'
import { recordEnded } from './endings/successes.ts'
import { upsertEndings } from './endings/upserts.ts'
import { newId } from './engine/ids.ts'
import type { OpenDatabase } from './engine/open-database.ts'
import { Rehearsed } from './engine/rehearsed.ts'
import type { EndingRow } from './schema.ts'

/**
 * Stores, claims and records an ending on each connection that will do so, and undoes all of it. The first time that is
 * done costs tens of ms: statements are compiled, and PostgreSQL reads what its catalogue says of each table.
 */
export async function warmUpStorage({ writes, results, clock, verify }: OpenDatabase): Promise<void> {
  const all = [...new Set([writes, results])]
  await Promise.all(all.map((db) => warmUp(new Rehearsed(db, verify), clock.now())))
}

async function warmUp(rehearsed: Rehearsed, now: number): Promise<void> {
  await rehearsed.run(async (trx) => {
    const target = { session: randomUUID() }
    const instruction = { target, dueAt: now, reason: 'requested', requestedBy: CURFEW, metadata: {} }
    const details = { key: null, subject: null, urgent: false }
    const [stored] = await upsertEndings(
      trx,
      [{ instruction: { ...instruction, ...details }, claimedUntil: now }],
      now,
      [],
    )
    // Nobody's: what is due is left for those who are to carry it out.
    await claimEndings(trx, 0, now, now)
    const { ending: claimed } = stored as { ending: EndingRow }
    const made = { id: newId(now), session: target.session, started_at: now, duration_ms: 0, status: 200 }
    await recordEnded(trx, [{ claimed, calls: [{ ...made, result: 'ended', error: null }], now }])
  })
}
