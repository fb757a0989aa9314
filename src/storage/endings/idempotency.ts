import { sql } from 'kysely'
import type { EndingRow, Trx } from '../schema.ts'
import { findEnding } from './endings.ts'

/** How long a repeated request is recognised, as the IETF draft leaves to the server. */
export const REMEMBERED_MS = 24 * 3_600_000

/** A request as its sender named it: the same key with another fingerprint is a mistake of the sender's. */
export interface IdempotentRequest {
  caller: string
  key: string
  /** of method, path and body */
  fingerprint: string
}

type Remembered = 'new' | 'mismatch' | { endingId: string }

// Nobody sees it: the transaction that writes it puts the ending's id in its place, or takes the row away again.
const NOT_KNOWN_YET = ''

/**
 * Carries a request out once: a repeat finds the ending that the first one made or changed. What was refused leaves
 * nothing behind, so that it can be mended and sent again under the same key.
 */
export async function withIdempotency<T extends { ending: EndingRow } | { obstacle: string }>(
  trx: Trx,
  request: IdempotentRequest | undefined,
  now: number,
  work: () => Promise<T>,
): Promise<T | { ending: EndingRow; replayed: true } | { obstacle: 'idempotency-mismatch' | 'not-found' }> {
  if (!request) return work()
  const known = await remember(trx, request, now)
  if (known === 'mismatch') return { obstacle: 'idempotency-mismatch' }
  if (known !== 'new') {
    const ending = await findEnding(trx, known.endingId)
    return ending ? { ending, replayed: true } : { obstacle: 'not-found' }
  }
  const result = await work()
  if ('ending' in result) await name(trx, request, result.ending.id)
  else await forget(trx, request)
  return result
}

/**
 * Remembers the request in the transaction that carries it out. The insert decides, never a look beforehand, so two
 * connections with the same key cannot both be the first.
 */
async function remember(trx: Trx, request: IdempotentRequest, now: number): Promise<Remembered> {
  const won = await trx
    .insertInto('idempotency_keys')
    .values({ ...request, ending_id: NOT_KNOWN_YET, created_at: now })
    .onConflict((conflict) =>
      conflict
        .columns(['caller', 'key'])
        .doUpdateSet({
          fingerprint: sql`excluded.fingerprint`,
          ending_id: sql`excluded.ending_id`,
          created_at: sql`excluded.created_at`,
        })
        .where('idempotency_keys.created_at', '<=', now - REMEMBERED_MS),
    )
    .returning('ending_id')
    .executeTakeFirst()
  if (won) return 'new'
  const known = await trx
    .selectFrom('idempotency_keys')
    .select(['fingerprint', 'ending_id'])
    .where('caller', '=', request.caller)
    .where('key', '=', request.key)
    .executeTakeFirstOrThrow()
  return known.fingerprint === request.fingerprint ? { endingId: known.ending_id } : 'mismatch'
}

async function name(trx: Trx, { caller, key }: IdempotentRequest, endingId: string) {
  await trx
    .updateTable('idempotency_keys')
    .set({ ending_id: endingId })
    .where('caller', '=', caller)
    .where('key', '=', key)
    .execute()
}

async function forget(trx: Trx, { caller, key }: IdempotentRequest) {
  await trx.deleteFrom('idempotency_keys').where('caller', '=', caller).where('key', '=', key).execute()
}
